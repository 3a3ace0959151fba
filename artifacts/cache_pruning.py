"""Finds and prunes what the cache of a machine holds: local copies of models, and tokenized corpora.

Pruning never removes a leased model (see `local_copies`). Only files and folders with names that nerbench gives are
removed, and symbolic links are not followed.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from nerbench.artifacts.local_copies import lease_path
from nerbench.artifacts.storage.paths import is_leftover

GRACE = timedelta(days=1)
"""Entries that were used more recently may still be in use if there is no lease."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_Inode = tuple[int, int]


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
    blobs = {_inode(path): path for path in _named(cache / "blobs", is_folder=False)}
    entries, counted = [], set[_Inode]()
    for snapshot in sorted(_named(cache / "snapshots", is_folder=True), key=_used, reverse=True):
        files = {_inode(path): path for path in snapshot.rglob("*") if path.is_file() and not path.is_symlink()}
        own = files.keys() - counted
        counted |= own
        entries.append(
            Entry(
                cache="models",
                name=f"snapshots/{snapshot.name}",
                bytes=sum(files[inode].stat().st_size for inode in own),
                used=_used(snapshot),
                in_use=_is_leased(lease_path(cache, snapshot.name)),
                paths=tuple(str(blobs[inode]) for inode in sorted(files.keys() & blobs.keys())),
            )
        )
    loose = [path for inode, path in blobs.items() if inode not in counted]
    return entries + [_loose("models", cache, path, now) for path in loose]


def tokenized_corpora(cache: Path, now: datetime) -> list[Entry]:
    """The corpora that training tokenized."""
    found = _named(cache / "tokenized", is_folder=False, suffix=".arrow")
    return [_loose("tokenized", cache, path, now) for path in found]


def remove_local(cache: Path, entry: Entry) -> bool:
    """Remove an entry, unless it was used since the listing or is in use. Returns whether it was removed."""
    target = cache / entry.name
    if not entry.name.startswith("snapshots/"):
        return _unlink_unused(target, entry.used)
    with _unleased(lease_path(cache, target.name)) as is_free:
        if not is_free or not target.is_dir() or _used(target) != entry.used:
            return False
        shutil.rmtree(target)
        for blob in map(Path, entry.paths):
            if blob.exists() and blob.stat().st_nlink == 1:  # no other model needs it
                blob.unlink(missing_ok=True)
    return True


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


def _loose(kind: str, cache: Path, path: Path, now: datetime) -> Entry:
    used = _used(path)
    name = path.relative_to(cache).as_posix()
    return Entry(kind, name, path.stat().st_size, used, now - used < GRACE, (str(path),))


def _unlink_unused(path: Path, used: datetime) -> bool:
    if not path.exists() or _used(path) != used:
        return False
    path.unlink(missing_ok=True)
    return True


def _inode(path: Path) -> _Inode:
    found = path.stat()
    return found.st_dev, found.st_ino


def _used(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


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
