"""Removes secrets, paths of a user's machine and host names from rows of the result tables."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.secrets import redact
from nerbench.tasks.config.messages import looks_secret
from nerbench.tasks.config.variables import OPTIONS

HIDDEN = "…"
TEXTS = ("text", "gold_text", "pred_text", "sentence_text")
"""Columns of any table that hold words of a corpus."""

_LOCAL = re.compile(r"/|~|\\\\|[A-Za-z]:[\\/]|(file|local)://")
_FOLDERS = re.compile(r"(?<![\w:/.])(?:~|/)[^\s'\",;:]*/")
_LOGIN = re.compile(r"(?<=://)[^/@]*@")


def shareable(rows: pa.Table, *, text: bool) -> pa.Table:
    """Rows of a result table without secrets; the words of the corpus (TEXTS) stay or become null.

    A `host` becomes a name made from its digest, so that machines remain distinguishable. A `configuration` is reduced
    by `shareable_value`, and the folders of paths are left out of `failures`.
    """
    for name, change in _CHANGES.items():
        if name in rows.column_names:
            values = [value and change(value) for value in rows[name].to_pylist()]
            rows = _with_column(rows, name, pa.array(values, pa.string()))
    for name in () if text else TEXTS:
        if name in rows.column_names:
            rows = _with_column(rows, name, pa.nulls(rows.num_rows, pa.string()))
    return rows


def shareable_host(host: str) -> str:
    """A name that is the same for the same host."""
    return f"host-{sha256_hex(host.encode())[:8]}"


def shareable_value(value: Any) -> Any:
    """A value of a configuration without secrets (by key), and with absolute paths reduced to their last part.

    `options` may contain anything, so only their keys stay. URLs of stores stay, without user, password and query.
    """
    if isinstance(value, Mapping):
        return {key: HIDDEN if looks_secret([key]) else _shareable_item(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [shareable_value(item) for item in value]
    return _shareable_text(value) if isinstance(value, str) else value


def recorded_configuration(text: str | None) -> dict[str, Any]:
    """The configuration in a row of `runs`; empty if there is none. Raises CorruptArtifactError."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, dict) and isinstance(found.get("benchmark", {}), dict)):
        raise CorruptArtifactError(f"table runs: holds no configuration but {text!r:.80}; remove that file")
    return found


def _shareable_item(key: str, item: Any) -> Any:
    if key == OPTIONS and isinstance(item, Mapping):
        return dict.fromkeys(item, HIDDEN)
    return shareable_value(item)


def _shareable_text(text: str) -> str:
    if _LOCAL.match(text):
        parts = re.split(r"[/\\]", text.rstrip("/\\"))
        return f"{HIDDEN}/{parts[-1]}"
    return redact(_LOGIN.sub("", text).partition("?")[0] if "://" in text else text)


def without_folders(text: str) -> str:
    """Text with every absolute path reduced to its last part, and without credentials."""
    return redact(_FOLDERS.sub(f"{HIDDEN}/", text))


def _shareable_configuration(configuration: str) -> str:
    return canonical_json(shareable_value(recorded_configuration(configuration))).decode()


_CHANGES: dict[str, Callable[[str], str]] = {
    "host": shareable_host,
    "configuration": _shareable_configuration,
    "failures": without_folders,
}


def _with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    position = rows.column_names.index(name)
    return rows.set_column(position, rows.schema.field(position), values)
