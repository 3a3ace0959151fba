"""What a store holds and nothing needs: blobs that no manifest names, and what crashes left behind.

How it keeps out of a publication's way, which writes its manifest last: only what was written before a grace time is
garbage; a publication renews what it finds there already (`filesystem.FRESH`); the age is looked at once more before
each removal; and once its manifest stands, a publication writes again what is gone. A whole publication would have to
pass between that last look and the removal for something to be lost; `Store.verify` would tell.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from artifacts.aliases import read_aliases
from artifacts.errors import CorruptArtifactError, InputError, NerbenchError
from artifacts.layout import BLOBS, blob_path, manifest_path
from artifacts.manifest import ArtifactKey, Manifest
from artifacts.storage.filesystem import FRESH, Root
from artifacts.store import Store

GRACE = timedelta(days=7)


class Garbage(BaseModel):
    """One file that can go."""

    model_config = ConfigDict(frozen=True)

    path: str
    """In the store."""
    kind: str
    """`manifest`, `blob` or `unfinished write`."""
    bytes: int
    """Its size."""
    modified: datetime
    """When it was written."""


def find_garbage(
    store: Store, *, grace: timedelta = GRACE, unaliased: timedelta | None = None, now: datetime | None = None
) -> list[Garbage]:
    """All that can go; with `unaliased`, artifacts too that were published before that time and have no alias.

    Raises InputError for a grace time below an hour, and CorruptArtifactError where a manifest cannot be read: nobody
    knows what that one needs.
    """
    if grace < FRESH:
        problem = f"{grace} is less than {FRESH}"
        raise InputError("grace", problem, "give more, so that nothing is taken from what is being published")
    now = now or datetime.now(UTC)
    root = Root.open(store.url)
    blobs = root.files(BLOBS, recursive=True)  # before the manifests, which may come to need them meanwhile
    manifests = _manifests(store)
    old = set() if unaliased is None else _unaliased(root, manifests, now - unaliased)
    needed = {blob_path(entry) for key, manifest in manifests.items() if key not in old for entry in manifest.files}
    found = [
        *_older([manifest_path(key) for key in sorted(old, key=manifest_path)], "manifest", root, now - grace),
        *_older([path for path in blobs if path not in needed], "blob", root, now - grace),
        *_older(root.leftovers(), "unfinished write", root, now - grace),
    ]
    return found


def remove_garbage(store: Store, garbage: Sequence[Garbage]) -> list[Garbage]:
    """Remove what was found, but for what is needed, was renewed or was given an alias since then; what is gone now.

    Raises like `find_garbage`.
    """
    root = Root.open(store.url)
    manifests = [one for one in garbage if one.kind == "manifest"]
    removed = [one for one in manifests if not _has_alias(root, one.path) and _remove(root, one)]
    needed = {blob_path(entry) for manifest in _manifests(store).values() for entry in manifest.files}
    others = [one for one in garbage if one.kind != "manifest" and one.path not in needed]
    return [*removed, *(one for one in others if _remove(root, one))]


def _remove(root: Root, one: Garbage) -> bool:
    if _modified(root, one.path) != one.modified:  # renewed, or gone
        return False
    root.delete(one.path)
    return True


def _manifests(store: Store) -> dict[ArtifactKey, Manifest]:
    found = {}
    for name, ids in store.keys().items():
        for artifact_id in ids:
            key = ArtifactKey(name=name, artifact_id=artifact_id)
            try:
                found[key] = store.manifest(key)
            except NerbenchError as error:
                problem = f"what {name}@sha256:{artifact_id[:12]} needs is not known, so nothing is removed"
                raise CorruptArtifactError(f"{problem}: {error}; restore or remove its manifest") from error
    return found


def _unaliased(root: Root, manifests: dict[ArtifactKey, Manifest], before: datetime) -> set[ArtifactKey]:
    kept = {name: set(read_aliases(root, name).values()) for name in {key.name for key in manifests}}
    return {
        key
        for key, manifest in manifests.items()
        if key.artifact_id not in kept[key.name]
        and manifest.provenance.created_at is not None
        and manifest.provenance.created_at < before
    }


def _has_alias(root: Root, path: str) -> bool:
    _, name, _, file = path.split("/")
    return file.removesuffix(".json") in read_aliases(root, name).values()


def _older(paths: Sequence[str], kind: str, root: Root, before: datetime) -> list[Garbage]:
    dated = ((path, _modified(root, path)) for path in paths)
    return [
        Garbage(path=path, kind=kind, bytes=root.size(path), modified=modified)
        for path, modified in dated
        if modified and modified < before
    ]


def _modified(root: Root, path: str) -> datetime | None:
    """When a file was written; None where it is gone."""
    try:
        return root.modified(path)
    except FileNotFoundError:
        return None
