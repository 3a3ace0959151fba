"""Aliases: names that point to one artifact of a model each, and that move by compare-and-swap.

models/<name>/aliases/<alias>.json           {"artifact_id", "updated_at"}
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from time import sleep

from nerbench.artifacts.digests import canonical_json
from nerbench.artifacts.errors import ConflictError, CorruptArtifactError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store_layout import alias_names, alias_path

_TRIES = 50
_PAUSE_S = 0.05
_MAX_BYTES = 1 << 16


class Expected(Enum):
    """Expected targets of an alias before a move that are not artifacts."""

    ANYTHING = "anything"
    NOTHING = "none"


def read_aliases(root: Root, name: str) -> dict[str, str]:
    """The aliases of a model and the artifact ids they point to. Raises CorruptArtifactError."""
    return {alias: read_alias(root, name, alias) for alias in alias_names(root, name)}


def read_alias(root: Root, name: str, alias: str) -> str:
    """The artifact id that an alias points to. Raises CorruptArtifactError, also if there is no such alias."""
    if target := find_alias(root, name, alias):
        return target
    raise _names_none(root, name, alias)


def find_alias(root: Root, name: str, alias: str) -> str | None:
    """The artifact id that an alias points to; None if there is no such alias. Raises CorruptArtifactError."""
    record = _bytes(root, alias_path(name, alias))
    target = _artifact_id(name, record)
    if record is not None and target is None:
        raise _names_none(root, name, alias)
    return target


def _names_none(root: Root, name: str, alias: str) -> CorruptArtifactError:
    return CorruptArtifactError(f"{name}: the alias {root.uri(alias_path(name, alias))} names no artifact")


def move_alias(root: Root, name: str, alias: str, artifact_id: str, wanted: Callable[[str | None], bool]) -> bool:
    """Point an alias to an artifact if its current target satisfies `wanted` at the time of the write.

    `wanted` is called again after every lost race, with None if the alias does not exist or names no artifact. Raises
    what `wanted` raises, and ConflictError if other writers were faster _TRIES times.
    """
    path = alias_path(name, alias)
    for _ in range(_TRIES):
        before = _bytes(root, path)
        if not wanted(_artifact_id(name, before)):
            return False
        record = {"artifact_id": artifact_id, "updated_at": datetime.now(UTC).isoformat()}
        if root.swap(path, canonical_json(record), before):
            return True
        sleep(random.uniform(0, _PAUSE_S))
    raise ConflictError(f"{name}@{alias} was moved by other writers {_TRIES} times; try again")


def _bytes(root: Root, path: str) -> bytes | None:
    try:
        return root.read_record(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptArtifactError(f"the alias {root.uri(path)} cannot be read ({error.strerror})") from error


def _artifact_id(name: str, record: bytes | None) -> str | None:
    if record is None:
        return None
    try:
        return ArtifactKey(name=name, artifact_id=json.loads(record)["artifact_id"]).artifact_id
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
