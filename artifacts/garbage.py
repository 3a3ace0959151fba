"""Finds and removes what a store does not need: blobs that no manifest names, and leftovers of crashes.

The collection must not disturb a publication, which writes its manifest last. Therefore, only files older than a grace
time are garbage; a publication renews the files that it finds (`filesystem.FRESH`); the age is checked again before
each removal; and a publication writes missing files again after its manifest. A file could only be lost if a whole
publication happened between the last check and the removal; `Store.verify` would report it.

Ages are differences between times of the store itself: the time at which it would date a file now, and the dates of its
files. A file is only garbage if its name is one that a store gives (`store_layout.kind_of`) and if no symbolic link
leads to it. Everything else is foreign: it is reported and left alone.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from nerbench.artifacts.aliases import read_aliases
from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError
from nerbench.artifacts.manifest import ArtifactKey, Manifest
from nerbench.artifacts.storage.filesystem import FRESH, Inventory, Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import BLOBS, MODELS, blob_path, kind_of, manifest_path, signed_key

GRACE = timedelta(days=7)
Clock = Callable[[str], datetime]
"""Gives the time at which the store would date a file beside this path."""


class Garbage(BaseModel):
    """One file that can be removed."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Path in the store."""
    kind: str
    """`manifest`, `blob`, `signature` or `unfinished write`."""
    bytes: int
    """Its size."""
    modified: datetime
    """When it was written."""


class Foreign(BaseModel):
    """Something in the folders of a store that no store has written."""

    model_config = ConfigDict(frozen=True)

    path: str
    """Path in the store."""
    problem: str
    """Why it is foreign."""


def find_garbage(
    store: Store, *, grace: timedelta = GRACE, unaliased: timedelta | None = None, now: datetime | None = None
) -> list[Garbage]:
    """All files that can be removed; with `unaliased`, also artifacts that were published before that time and have no
    alias.

    Raises InputError for a grace time below an hour, and CorruptArtifactError if a manifest cannot be read, because the
    files that it needs are unknown then.
    """
    if grace < FRESH:
        problem = f"{grace} is less than {FRESH}"
        raise InputError("grace", problem, "give more, so that no file of an unfinished publication is removed")
    root = open_root(store.url)
    there = _kinds(root)  # before the manifests, which may need more of them in the meantime
    manifests = _manifests(store)
    removable = [key for key in manifests if there.get(manifest_path(key)) == "manifest"]
    clock = root.now if now is None else lambda beside: now
    old = [] if unaliased is None else _unaliased(root, removable, clock, unaliased)
    needed = {blob_path(entry) for key, manifest in manifests.items() if key not in old for entry in manifest.files}
    unneeded = [
        path
        for path, kind in there.items()
        if kind == "unfinished write"
        or (kind == "blob" and path not in needed)
        or (kind == "signature" and (signed_key(path) not in manifests or signed_key(path) in old))
    ]
    return _older([*map(manifest_path, old), *unneeded], there, root, clock, grace)


def find_foreign(store: Store) -> list[Foreign]:
    """Foreign files in the folders of a store, which are never removed. Raises if the folders cannot be listed."""
    there = _inventory(open_root(store.url))
    links = [Foreign(path=path, problem="a link, which is not followed") for path in there.links]
    others = [Foreign(path=path, problem="not a name of a store") for path in there.files if kind_of(path) is None]
    return sorted([*links, *others], key=lambda one: one.path)


def remove_garbage(store: Store, garbage: Sequence[Garbage]) -> list[Garbage]:
    """Remove the garbage that is not needed, renewed or aliased by now. Returns the removed files.

    Raises like `find_garbage`.
    """
    root = open_root(store.url)
    there = _kinds(root)
    garbage = [one for one in garbage if there.get(one.path) == one.kind]
    manifests = [one for one in garbage if one.kind == "manifest"]
    removed = [one for one in manifests if not _has_alias(root, one.path) and _remove(root, one)]
    kept = _manifests(store)
    needed = {blob_path(entry) for manifest in kept.values() for entry in manifest.files}
    needed |= {one.path for one in garbage if signed_key(one.path) in kept}
    others = [one for one in garbage if one.kind != "manifest" and one.path not in needed]
    return [*removed, *(one for one in others if _remove(root, one))]


def _kinds(root: Root) -> dict[str, str]:
    """The kind of every file of a store that is not reached through a link, by path."""
    return {path: kind for path in _inventory(root).files if (kind := kind_of(path))}


def _inventory(root: Root) -> Inventory:
    folders = [root.inventory(folder) for folder in (BLOBS, MODELS)]
    return Inventory([path for one in folders for path in one.files], [path for one in folders for path in one.links])


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
                problem = f"what {name}@sha256:{artifact_id[:12]} needs is unknown, so nothing is removed"
                raise CorruptArtifactError(f"{problem}: {error}; restore or remove its manifest") from error
    return found


def _unaliased(root: Root, keys: Sequence[ArtifactKey], clock: Clock, age: timedelta) -> list[ArtifactKey]:
    """The artifacts without an alias whose manifest is older than `age`."""
    kept = {name: set(read_aliases(root, name).values()) for name in {key.name for key in keys}}
    dated = ((key, _modified(root, manifest_path(key))) for key in keys if key.artifact_id not in kept[key.name])
    return [key for key, modified in dated if modified and clock(manifest_path(key)) - modified > age]


def _has_alias(root: Root, path: str) -> bool:
    _, name, _, file = path.split("/")
    return file.removesuffix(".json") in read_aliases(root, name).values()


def _older(paths: Iterable[str], kinds: dict[str, str], root: Root, clock: Clock, age: timedelta) -> list[Garbage]:
    dated = ((path, _modified(root, path)) for path in paths)
    return [
        Garbage(path=path, kind=kinds[path], bytes=root.size(path), modified=modified)
        for path, modified in dated
        if modified and clock(path) - modified > age
    ]


def _modified(root: Root, path: str) -> datetime | None:
    """When a file was written; None if it is gone."""
    try:
        return root.modified(path)
    except FileNotFoundError:
        return None
