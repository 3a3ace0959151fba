"""Verified local copies of artifacts, and how they are listed and pruned.

A copy is never trusted because it exists or has the right size: its digest is compared.

A process holds a lease on every model that it has materialised, until it ends. Pruning never removes a leased model.

Only files and folders with names that this package gives are ever removed, and symbolic links are not followed.
"""

import logging
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.manifest import MANIFEST_FILE, FileEntry, Manifest
from nerbench.artifacts.model_folder import refuse_unsafe
from nerbench.artifacts.storage.filesystem import ProgressCallback, no_progress
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import is_leftover, temporary_sibling, write_whole
from nerbench.artifacts.transfers import transfer

_logger = logging.getLogger(__name__)

Fetch = Callable[[FileEntry, Path, ProgressCallback], str]
"""Puts a file of an artifact at a local path, and returns the sha256 of what it wrote."""

_leases: dict[Path, int] = {}
_leasing = Lock()


def cache_folder() -> Path:
    """`$NERBENCH_CACHE`, otherwise `nerbench` in the user's cache folder."""
    if chosen := os.environ.get("NERBENCH_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "nerbench"


def materialise(manifest: Manifest, fetch: Fetch) -> Path:
    """A local folder with exactly the files of the manifest; every byte has just been verified.

    Raises CorruptArtifactError naming the file whose source differs, UnsafeArtifactError for content that must not be
    loaded, and InputError for a cache that other users may change after the verification.
    """
    cache = cache_folder()
    for folder in (cache, *(cache / name for name in ("blobs", "snapshots", "temporary", "leases"))):
        _refuse_strangers(folder)
    _lease(lease_path(cache, manifest.model_sha256))

    def verified(entry: FileEntry, progress: ProgressCallback) -> Path:
        return _verified_blob(cache, manifest.name, entry, lambda target: fetch(entry, target, progress))

    found = transfer(f"fetching {manifest.name}", manifest.files, verified)
    blobs = {entry.path: blob for entry, blob in zip(manifest.files, found, strict=True)}
    # One folder per model, with links that are replaced one by one, so that several processes can do this at once.
    snapshot = cache / "snapshots" / manifest.model_sha256
    for entry in manifest.files:
        try:
            _link(blobs[entry.path], snapshot / entry.path, cache / "temporary")
        except FileNotFoundError:  # another process has pruned it
            _link(verified(entry, no_progress), snapshot / entry.path, cache / "temporary")
    for path in [path for path in snapshot.rglob("*") if not path.is_dir()]:
        if path.relative_to(snapshot).as_posix() not in blobs:
            path.unlink(missing_ok=True)
    refuse_unsafe(open_root(str(snapshot)))
    _mark_used(snapshot)
    return snapshot


def _refuse_strangers(folder: Path) -> None:
    """A group may share a cache. Any other user with write access could exchange a file between its check and its
    use."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return
    is_shared = found.st_uid in (os.getuid(), 0) or found.st_mode & stat.S_IWGRP
    if found.st_mode & stat.S_IWOTH or not is_shared:
        problem = "can be changed by other users, who could exchange a model after it is verified"
        raise InputError(
            f"cache {folder}", problem, "make it yours (chown, chmod o-w), or name another in NERBENCH_CACHE"
        )


def lease_path(cache: Path, model_sha256: str) -> Path:
    """The file that every process locks, shared, while it may use the local copy of a model."""
    return cache / "leases" / model_sha256


def _lease(path: Path) -> None:
    import fcntl  # which Windows lacks

    with _leasing:
        if path in _leases:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):  # a file system without locks: pruning needs one, so it removes nothing there
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        _leases[path] = descriptor


def _mark_used(path: Path) -> None:
    """Date a file or folder as used now; the time of another user's file does not change."""
    with suppress(PermissionError):
        os.utime(path)


def export(manifest: Manifest, fetch: Fetch, folder: Path) -> None:
    """Write the verified files of an artifact and its manifest to a new or empty folder: all of them or none.

    Raises InputError if the folder is not empty, and CorruptArtifactError naming the file whose source differs.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"folder {folder}", "is not empty", "name a new one")
    existed = folder.exists()

    def copy(entry: FileEntry, progress: ProgressCallback) -> None:
        _check(manifest.name, entry, fetch(entry, folder / entry.path, progress))

    try:
        transfer(f"fetching {manifest.name}", manifest.files, copy)
        write_whole(folder / MANIFEST_FILE, [manifest.to_bytes()])
    except BaseException:
        for path in folder.iterdir() if folder.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if folder.exists() and not existed:
            folder.rmdir()
        raise


def _verified_blob(cache: Path, name: str, entry: FileEntry, fetch: Callable[[Path], str]) -> Path:
    blob = cache / "blobs" / entry.sha256
    with suppress(FileNotFoundError):
        _mark_used(blob)
        if sha256_file(blob) == entry.sha256:
            return blob
        _logger.warning("the cached copy of %s of %s is damaged and fetched again: %s", entry.path, name, blob)
    temporary = temporary_sibling(blob)
    try:
        _check(name, entry, fetch(temporary))
        temporary.replace(blob)
    finally:
        temporary.unlink(missing_ok=True)
    return blob


def _check(name: str, entry: FileEntry, found: str) -> None:
    if found != entry.sha256:
        raise CorruptArtifactError(f"{name}: {entry.path} has sha256 {found} instead of {entry.sha256}")


def _link(blob: Path, target: Path, temporaries: Path) -> None:
    if target.exists() and target.samefile(blob):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporaries.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(temporaries / target.name)
    try:
        try:
            os.link(blob, temporary)
        except OSError:  # a file system without hard links
            shutil.copyfile(blob, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # renaming one link over another of the same file does nothing


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
