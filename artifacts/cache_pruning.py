"""Lists and prunes two caches: models and tokenized corpora on this machine, predictions and counts beside the results.

Only files and folders with names that nerbench gives are removed, and symbolic links are not followed. Pruning never
removes a leased model (see `local_copies`). Any other entry counts as in use for a day after its last use. A run whose
entry was removed infers again.
"""

import logging
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nerbench.artifacts.local_copies import cache_folder, lease_path
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import is_leftover

log = logging.getLogger(__name__)

GRACE = timedelta(days=1)
"""Entries that were used more recently may still be in use if there is no lease."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_Inode = tuple[int, int]
_FOLDER = ".cache"
_KEPT = re.compile(
    r"(?P<evaluations>\.cache/evaluations/[0-9a-f]{64})/(?:shards/\d+-\d+/)?(?:record\.json|[0-9a-f]{64}\.parquet|\.lock\.tmp)"
    r"|(?P<counts>\.cache/counts/[0-9a-f]{64}\.parquet)"
)
"""Every path of an evaluation or a count; the group is the entry's name."""


class Limits(NamedTuple):
    """Limits of a cache; None means no limit."""

    bytes: int | None
    age: timedelta | None
    """Since the last use."""


class Entry(NamedTuple):
    """Something that a cache keeps and removes as a whole."""

    cache: str
    name: str
    """Path relative to the cache."""
    bytes: int
    """Number of bytes that its removal frees."""
    used: datetime
    """When it was used last."""
    in_use: bool
    paths: tuple[str, ...]
    """Its files, in the order of their removal."""


class Cache(NamedTuple):
    """A cache with its own limits."""

    entries: list[Entry]
    remove: Callable[[Entry], bool]
    """Removes an entry, unless it was used since the listing. Returns whether it was removed."""


def find_caches(results: str) -> list[Cache]:
    """The cache on this machine and the cache beside these results."""
    now, local, root = datetime.now(UTC), cache_folder(), open_root(results)
    return [
        Cache([*local_models(local, now), *tokenized_corpora(local, now)], partial(remove_local, local)),
        Cache(_beside_results(root, now), partial(_remove_beside, root)),
    ]


def prune(results: str, limits: Limits, *, dry_run: bool = False) -> list[Entry]:
    """Remove what exceeds the limits of each cache, or only find it. Returns the entries."""
    now = datetime.now(UTC)
    found = [(cache, entry) for cache in find_caches(results) for entry in surplus(cache.entries, limits, now)]
    return [entry for cache, entry in found if dry_run or cache.remove(entry)]


def prune_after_run(results: str, limits: Limits) -> str | None:
    """Prune the caches if there are limits, and return one line about removed entries. Failures are only logged."""
    if limits == Limits(None, None):
        return None
    try:
        gone = prune(results, limits)
    except Exception as error:  # the run itself is complete
        log.warning("the caches are not pruned: %s", " ".join(f"{type(error).__name__}: {error}".split()))
        return None
    return f"pruned {count(gone)}" if gone else None


def count(entries: list[Entry]) -> str:
    """`2 cache entries, 1.5 MB`."""
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} cache {noun}, {sum(entry.bytes for entry in entries) / 1e6:.1f} MB"


def surplus(entries: Iterable[Entry], limits: Limits, now: datetime) -> list[Entry]:
    """The entries that exceed the limits of one cache, least recently used first, without entries in use."""
    entries = sorted(entries, key=lambda entry: entry.used)
    left, found = sum(entry.bytes for entry in entries), []
    for entry in entries:
        is_old = limits.age is not None and now - entry.used > limits.age
        is_too_much = limits.bytes is not None and left > limits.bytes
        if (is_old or is_too_much) and not entry.in_use:
            found.append(entry)
            left -= entry.bytes
    return found


def local_models(cache: Path, now: datetime) -> list[Entry]:
    """The local copies of models, and files that belong to none. A file that two models share counts for the newer
    one."""
    blobs = _statuses(_named(cache / "blobs", is_folder=False))
    snapshots = _statuses(_named(cache / "snapshots", is_folder=True))
    blob_of = {_inode(status): path for path, status in blobs.items()}
    entries, counted = [], set[_Inode]()
    for snapshot in sorted(snapshots, key=lambda path: snapshots[path].st_mtime, reverse=True):
        files = _statuses(path for path in snapshot.rglob("*") if path.is_file() and not path.is_symlink())
        sizes = {_inode(status): status.st_size for status in files.values()}
        own = sizes.keys() - counted
        counted |= own
        entries.append(
            Entry(
                cache="models",
                name=f"snapshots/{snapshot.name}",
                bytes=sum(sizes[inode] for inode in own),
                used=_used(snapshots[snapshot]),
                in_use=_is_leased(lease_path(cache, snapshot.name)),
                paths=tuple(str(blob_of[inode]) for inode in sorted(sizes.keys() & blob_of.keys())),
            )
        )
    loose = {path: status for path, status in blobs.items() if _inode(status) not in counted}
    return entries + [_loose("models", cache, path, status, now) for path, status in loose.items()]


def tokenized_corpora(cache: Path, now: datetime) -> list[Entry]:
    """The corpora that training tokenized."""
    found = _named(cache / "tokenized", is_folder=False, suffix=".arrow")
    return [_loose("tokenized", cache, path, status, now) for path, status in _statuses(found).items()]


def remove_local(cache: Path, entry: Entry) -> bool:
    """Remove an entry, unless it was used since the listing or is in use. Returns whether it was removed."""
    target = cache / entry.name
    if not entry.name.startswith("snapshots/"):
        return _unlink_unused(target, entry.used)
    with _unleased(lease_path(cache, target.name)) as is_free:
        if not is_free or not target.is_dir() or _used(target.stat()) != entry.used:
            return False
        shutil.rmtree(target)
        for blob in map(Path, entry.paths):
            if blob.exists() and blob.stat().st_nlink == 1:  # no other model needs it
                blob.unlink(missing_ok=True)
    return True


def _beside_results(root: Root, now: datetime) -> list[Entry]:
    if "://" not in root.url and _is_linked(Path(root.url)):
        log.warning("%s is a symbolic link, so its target is not pruned", Path(root.url) / _FOLDER)
        return []
    files = defaultdict[tuple[str, str], list[str]](list)
    for path in root.inventory(_FOLDER).files:
        if kept := _KEPT.fullmatch(path):
            kind = kept.lastgroup or ""
            files[kind, kept[kind]].append(path)
    entries = (_entry(root, kind, name, paths, now) for (kind, name), paths in files.items())
    return [entry for entry in entries if entry]


def _is_linked(results: Path) -> bool:
    return any((results / _FOLDER / kind).is_symlink() for kind in ("", "evaluations", "counts"))


def _entry(root: Root, kind: str, name: str, paths: list[str], now: datetime) -> Entry | None:
    try:
        size = sum(map(root.size, paths))
        used = max(map(root.modified, paths))
    except FileNotFoundError:  # replaced or pruned in the meantime
        return None
    # Records first: a reader then finds either a record with its predictions, or no record.
    paths = sorted(paths, key=lambda path: (not path.endswith(".json"), path))
    return Entry(kind, name, size, used, now - used < GRACE, tuple(paths))


def _remove_beside(root: Root, entry: Entry) -> bool:
    try:
        if max(map(root.modified, entry.paths)) != entry.used:
            return False
    except FileNotFoundError:
        return False
    for path in entry.paths:
        root.delete(path)
    if "://" not in root.url:
        _remove_empty(Path(root.url), entry)
    return True


def _remove_empty(results: Path, entry: Entry) -> None:
    """Remove the empty folders of an entry, deepest first."""
    folders = {parent for path in entry.paths for parent in Path(path).parents if entry.name in parent.as_posix()}
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):
            (results / folder).rmdir()


def _named(folder: Path, *, is_folder: bool, suffix: str = "") -> list[Path]:
    """The entries of a folder with names that nerbench gives; none if the folder itself is a link to another place."""
    if folder.is_symlink() or not folder.exists():
        return []
    return [
        path
        for path in folder.iterdir()
        if (_SHA256.fullmatch(path.name.removesuffix(suffix)) or (not is_folder and is_leftover(path.name)))
        and not path.is_symlink()
        and (path.is_dir() if is_folder else path.is_file())
    ]


def _statuses(paths: Iterable[Path]) -> dict[Path, os.stat_result]:
    """The status of each path, without those that another process has renamed or removed since they were listed."""
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path] = path.stat()
    return found


def _loose(kind: str, cache: Path, path: Path, status: os.stat_result, now: datetime) -> Entry:
    used = _used(status)
    name = path.relative_to(cache).as_posix()
    return Entry(kind, name, status.st_size, used, now - used < GRACE, (str(path),))


def _unlink_unused(path: Path, used: datetime) -> bool:
    if [_used(status) for status in _statuses([path]).values()] != [used]:
        return False
    path.unlink(missing_ok=True)
    return True


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino


def _used(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)


def _is_leased(lease: Path) -> bool:
    with _unleased(lease) as is_free:
        return not is_free


@contextmanager
def _unleased(lease: Path) -> Iterator[bool]:
    """Prevent every process from leasing a model within this context. Yields False if one has a lease or no lock is
    available."""
    import fcntl  # which Windows lacks

    lease.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lease, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
