"""Verified local copies of artifacts.

A copy is never trusted because it exists or has the right size: its digest is compared.

A process holds a lease on every model that it has materialised, until it ends. `cache_pruning` never removes a leased
model.
"""

import logging
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.manifest import MANIFEST_FILE, FileEntry, Manifest
from nerbench.artifacts.model_folder import refuse_unsafe
from nerbench.artifacts.storage.filesystem import ProgressCallback, no_progress
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import temporary_sibling, write_whole
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
        remedy = "change its owner or permissions (chown, chmod o-w), or name another folder in NERBENCH_CACHE"
        raise InputError(f"cache {folder}", problem, remedy)


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
