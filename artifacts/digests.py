"""Canonical bytes and their sha256, from which all identities in nerbench are made."""

import errno
import hashlib
import json
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 20


def canonical_json(value: Any) -> bytes:
    """The one UTF-8 encoding of `value`: keys sorted, no white space. Raises ValueError for NaN and infinities."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def sha256_hex(data: bytes) -> str:
    """The sha256 of `data` in 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_chunks(chunks: Iterable[bytes]) -> str:
    """The sha256 of consecutive chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of a local file, read in chunks."""
    return sha256_chunks(file_chunks(path))


def open_file(path: Path) -> BinaryIO:
    """A local file opened for reading. Raises FileNotFoundError for a folder and for a pipe, which may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileNotFoundError(errno.ENOENT, "is not a regular file", str(path))
    return path.open("rb")


def file_chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a local file in chunks. Raises like `open_file`."""
    with open_file(path) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
