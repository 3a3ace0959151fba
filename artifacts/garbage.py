"""What a store holds and nothing needs: blobs that no manifest names, and what crashes left behind.

How it keeps out of a publication's way, which writes its manifest last: only what was written before a grace time is
garbage; a publication renews what it finds there already (`filesystem.FRESH`); the age is looked at once more before
each removal; and once its manifest stands, a publication writes again what is gone. A whole publication would have to
pass between that last look and the removal for something to be lost; `Store.verify` would tell.

Ages are differences of the store's own times: of the time at which it dates a file that is written now, and of the
dates of its files. No file is garbage unless its name is one that a store gives (`store_layout.kind_of`), and none that
is reached through a symbolic link. Everything else is foreign: it is reported and left alone.
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
from nerbench.artifacts.store_layout import BLOBS, MODELS, blob_path, kind_of, manifest_path

GRACE = timedelta(days=7)
Clock = Callable[[str], datetime]
"""The time by which a file beside this path would be dated."""


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


class Foreign(BaseModel):
    """Something in the folders of a store that no store has put there."""

    model_config = ConfigDict(frozen=True)

    path: str
    """In the store."""
    problem: str
    """Why it is foreign."""


def find_garbage(
    store: Store, *, grace: timedelta = GRACE, unaliased: timedelta | None = None, now: datetime | None = None
) -> list[Garbage]:
    """All that can go; with `unaliased`, artifacts too that were published before that time and have no alias.

    Raises InputError for a grace time below an hour, and CorruptArtifactError if a manifest cannot be read: nobody
    knows what that one needs.
    """
    if grace < FRESH:
        problem = f"{grace} is less than {FRESH}"
        raise InputError("grace", problem, "give more, so that nothing is taken from what is being published")
    root = open_root(store.url)
    there = _kinds(root)  # before the manifests, which may come to need them meanwhile
    manifests = _manifests(store)
    removable = [key for key in manifests if there.get(manifest_path(key)) == "manifest"]
    clock = root.now if now is None else lambda beside: now
    old = [] if unaliased is None else _unaliased(root, removable, clock, unaliased)
    needed = {blob_path(entry) for key, manifest in manifests.items() if key not in old for entry in manifest.files}
    unneeded = [
        path for path, kind in there.items() if kind == "unfinished write" or (kind == "blob" and path not in needed)
    ]
    return _older([*map(manifest_path, old), *unneeded], there, root, clock, grace)


def find_foreign(store: Store) -> list[Foreign]:
    """What is in the way of a store in its own folders, and is never removed. Raises where they cannot be listed."""
    there = _inventory(open_root(store.url))
    links = [Foreign(path=path, problem="a link, which is not followed") for path in there.links]
    others = [Foreign(path=path, problem="not a name of a store") for path in there.files if kind_of(path) is None]
    return sorted([*links, *others], key=lambda one: one.path)


def remove_garbage(store: Store, garbage: Sequence[Garbage]) -> list[Garbage]:
    """Remove what was found, but for what is needed, was renewed or was given an alias since then; what is gone now.

    Raises like `find_garbage`.
    """
    root = open_root(store.url)
    there = _kinds(root)
    garbage = [one for one in garbage if there.get(one.path) == one.kind]
    manifests = [one for one in garbage if one.kind == "manifest"]
    removed = [one for one in manifests if not _has_alias(root, one.path) and _remove(root, one)]
    needed = {blob_path(entry) for manifest in _manifests(store).values() for entry in manifest.files}
    others = [one for one in garbage if one.kind != "manifest" and one.path not in needed]
    return [*removed, *(one for one in others if _remove(root, one))]


def _kinds(root: Root) -> dict[str, str]:
    """The kind of every file of a store that no link leads to, by its path."""
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
                problem = f"what {name}@sha256:{artifact_id[:12]} needs is not known, so nothing is removed"
                raise CorruptArtifactError(f"{problem}: {error}; restore or remove its manifest") from error
    return found


def _unaliased(root: Root, keys: Sequence[ArtifactKey], clock: Clock, age: timedelta) -> list[ArtifactKey]:
    """Those of the artifacts that have no alias, and whose manifest is older than `age`."""
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
