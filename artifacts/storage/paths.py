"""Path names that are safe everywhere, and local files that appear whole or not at all."""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from nerbench.artifacts.errors import InputError, NerbenchError

LOCK = ".lock.tmp"
"""Locked while a file of the same folder is compared and replaced. It does not count as a file of the folder."""
_MODE = 0o666
"""Reduced by the umask, so that those who share a folder control its permissions."""
_LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.tmp")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM_SAID = re.compile(rf"\(os error ({'|'.join(map(str, _NO_ROOM))})\)|inline_container\.cc|iostream error")
"""The messages of safetensors, which contains the error number, and of torch, which finds a file shorter than it
wrote."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def relative_path(path: str) -> str:
    """`path` itself if it is relative and plain under the rules of both POSIX and Windows. Raises ValueError
    otherwise."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} is not a plain relative path")
    if "\\" in path or ":" in path or _CONTROL.search(path):
        raise ValueError(f"{path!r} holds a backslash, a colon or a control character")
    return path


def is_temporary(name: str) -> bool:
    """Whether a file is an unfinished write. Such names never end in .parquet, because DuckDB's globs match dot files,
    too."""
    return name.startswith(".") and name.endswith(".tmp")


def is_leftover(name: str) -> bool:
    """Whether a file has the name of an unfinished write, which a crash may leave behind."""
    return _LEFTOVER.fullmatch(name) is not None


def temporary_name() -> str:
    """A fresh name of an unfinished write."""
    return f".{uuid4().hex}.tmp"


def temporary_sibling(path: Path) -> Path:
    """A fresh name in the folder of `path`. A finished file with this name can be renamed to `path`."""
    return path.with_name(temporary_name())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Exclude all other threads and processes that do the same from a folder. The lock of a killed process ends.

    Raises InputError for an unwritable folder, NerbenchError for a full disk.
    """
    import fcntl  # which Windows lacks; reading needs no locks

    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, _MODE)
        except PermissionError:  # another user's; on local disks it can be locked anyway
            descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(folder / LOCK, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(folder / LOCK, error) from error
        yield
    finally:
        os.close(descriptor)


def write_whole(target: Path, chunks: Iterable[bytes], publish: Callable[[Path, Path], None] = os.replace) -> str:
    """Write a file beside `target`, then `publish` it there: with `publish_new` if it must be new, otherwise with
    os.replace.

    Returns the sha256 of the written bytes. Raises InputError for an unwritable folder, NerbenchError for a full disk,
    and what `publish` raises.
    """
    temporary = temporary_sibling(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    except OSError as error:
        raise _unwritable(target, error) from error
    digest = hashlib.sha256()
    try:
        with room_for(target), os.fdopen(descriptor, "wb") as stream:
            for chunk in chunks:
                digest.update(chunk)
                stream.write(chunk)
            stream.flush()
            os.fsync(descriptor)
        try:
            publish(temporary, target)
        except (PermissionError, IsADirectoryError) as error:
            raise _unwritable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)
    return digest.hexdigest()


@contextmanager
def room_for(target: Path) -> Iterator[None]:
    """Raise NerbenchError naming `target` if the code in this context meets a full disk, a quota or a size limit."""
    try:
        yield
    except Exception as error:
        if number := no_room(error):
            raise _full(target, number) from error
        raise


def no_room(error: BaseException) -> int | None:
    """The system's error number if an error means that there is no room."""
    if isinstance(error, OSError):
        return error.errno if error.errno in _NO_ROOM else None
    said = _NO_ROOM_SAID.search(str(error))
    return int(said[1] or errno.ENOSPC) if said else None


def _full(target: Path, number: int) -> NerbenchError:
    remedy = "make room on that disk or choose another, and run it again to go on"
    return NerbenchError(f"{target} cannot be written: {os.strerror(number)}; {remedy}")


def _unwritable(target: Path, error: OSError) -> NerbenchError:
    """Why no file can be created at `target`."""
    if number := no_room(error):
        return _full(target, number)
    problem = f"cannot be written to ({error.strerror})"
    return InputError(f"folder {target.parent}", problem, "choose another, or change its permissions")


def publish_new(temporary: Path, target: Path) -> None:
    """Rename a finished file to `target`, which must not exist. Raises FileExistsError if it does.

    Raises InputError on a file system without hard links, because nothing else is both whole and exclusive there.
    """
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        problem = f"its file system has no hard links ({error.strerror}), by which files are created exclusively"
        raise InputError(f"folder {target.parent}", problem, "choose a folder on another disk, or s3://") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
