"""Invalid content in place of an object in a store or a results folder."""

import io
import os
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "within").write_bytes(b"x")


def _parquet(**columns: list[object]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda old: b"",
    "truncated": lambda old: old[: len(old) // 2],
    "one bit": lambda old: old[: len(old) // 2] + bytes([old[len(old) // 2] ^ 1]) + old[len(old) // 2 + 1 :],
    "random bytes": lambda old: random.Random(0).randbytes(4096),
    "no UTF-8": lambda old: b'{"artifact_id": "\xff\xfe"}',
    "JSON list": lambda old: b"[1, 2]",
    "JSON null": lambda old: b"null",
    "JSON object": lambda old: b'{"artifact_id": {"a": []}, "files": 3, "key": null, "number": "x"}',
    "huge number": lambda old: b'{"artifact_id": 1e999, "number": ' + b"9" * 5000 + b"}",
    "deep JSON": lambda old: b"[" * 100_000,
    "other table": lambda old: _parquet(x=[1], y=["z"]),
    "other types": lambda old: _parquet(run_id=[1.5], model=[[b"\xff"]], value=["much"], started_at=["now"]),
}
PLACES: dict[str, Callable[[Path], None]] = {
    "absent": lambda path: None,
    "folder": _folder,
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "link to itself": lambda path: path.symlink_to(path),
    "link to a folder": lambda path: path.symlink_to(path.parent, target_is_directory=True),
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
}
KINDS = (*CONTENTS, *PLACES)
"""Replacements of an object."""
NAMES = tuple(
    os.fsdecode(name)
    for name in (
        *(b"a b", b"a:b", b"a\\b", b"a\nb", b"a\x1b[31mb", b"\xff\xfe", "ü".encode(), b"-rf", b"*", b"'", b"x" * 240),
        *(b".hidden", b"._apple", b"_low", b"..x", b"latest~", b"%2e%2e", b"CON"),
    )
)
"""Prefixes of names that no object of nerbench has."""


def replace(path: Path, kind: str) -> None:
    """Replace a file by invalid content of a kind."""
    old = path.read_bytes()
    path.unlink()
    if kind in CONTENTS:
        path.write_bytes(CONTENTS[kind](old))
    else:
        PLACES[kind](path)
