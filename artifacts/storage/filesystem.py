"""Where bytes are kept: a local folder or a remote filesystem, behind one small class.

`local` and `paths` handle the peculiarities of local files, `remote` those of other filesystems, and `s3` those of S3.

`os.walk` skips folders that it cannot read and treats folders that it cannot stat as files; `walk` here does neither.
"""

import errno
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import IO, NamedTuple

from nerbench.artifacts.digests import sha256_chunks
from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.storage.paths import relative_path, temporary_name, write_whole

MAX_VALUES = 1 << 18
"""Limits of a JSON record. Each value takes hundreds of bytes during validation."""
FRESH = timedelta(hours=1)
"""An upload that finds its file older than this renews it, so that garbage collection treats it as new."""
REQUESTS_AT_ONCE = 8
"""Maximum number of requests to a store at a time."""
ProgressCallback = Callable[[int], None]
"""Gets the number of bytes of a file that are done."""

_logger = logging.getLogger(__name__)


def no_progress(done: int) -> None:
    """A progress callback that does nothing."""


class Inventory(NamedTuple):
    """The sorted paths of everything in a folder."""

    files: list[str]
    """Includes unfinished files."""
    links: list[str]
    """Symbolic links to files and folders, which are not followed."""


class Root(ABC):
    """A folder of a filesystem. All paths are relative to it, with `/`."""

    url: str
    """Absolute: `/folder` or `protocol://…`."""
    at_once: int = REQUESTS_AT_ONCE
    """The number of threads in which files are read fastest."""
    _clock: tuple[datetime, float] | None = None
    """The store's time, and this process's monotonic clock at that moment."""

    def uri(self, path: str) -> str:
        """The full location of a file."""
        return f"{self.url}/{relative_path(path)}"

    @abstractmethod
    def create(self, path: str, data: bytes) -> None:
        """Write a whole new file, or raise FileExistsError; among concurrent writers exactly one succeeds.

        `data` may also be a memory map, which is not read into memory if the folder is local. On object stores, it also
        succeeds if the same bytes exist already: after a lost reply, a client finds its own write.
        """

    @abstractmethod
    def replace(self, path: str, data: bytes) -> None:
        """Write a whole file over an existing one. Readers see the old bytes or the new ones."""

    @abstractmethod
    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        """Write a whole file if its current bytes are `expected` (None: there is no file). Returns whether it was
        written.

        Of concurrent writers that expect the same bytes, one succeeds: locally, in memory and on S3. On another fsspec
        filesystem, two may succeed, unless they expect no file.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """All bytes of a file. Raises FileNotFoundError."""

    def read_record(self, path: str, limit: int) -> bytes:
        """The bytes of a JSON file. Reads no more than `limit` bytes, whatever its reported size.

        Raises FileNotFoundError, and CorruptArtifactError if it has more bytes, or more than MAX_VALUES values.
        """
        data = self.part(path, 0, limit + 1)
        if len(data) > limit:
            raise CorruptArtifactError(f"{self.uri(path)} has more than {limit} bytes")
        if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
            raise CorruptArtifactError(f"{self.uri(path)} has more than {MAX_VALUES} values")
        return data

    @abstractmethod
    def part(self, path: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end` or its end, and never more. Raises FileNotFoundError."""

    @abstractmethod
    def opened(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file from which parts are read while it is open; a remote one is held in memory. Raises
        FileNotFoundError."""

    @abstractmethod
    def modified(self, path: str) -> datetime:
        """The time of the last write. Raises FileNotFoundError."""

    @abstractmethod
    def size(self, path: str) -> int:
        """The size in bytes. Raises FileNotFoundError."""

    @abstractmethod
    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        """The sorted paths of the finished files in a folder; empty if there is no such folder.

        Follows links to folders.
        """

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """The sorted paths of the folders in a folder; empty if there is no such folder. Follows links."""

    @abstractmethod
    def inventory(self, folder: str) -> Inventory:
        """Everything below a folder, which may itself be a link; empty if there is no such folder."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file in chunks. Raises FileNotFoundError."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file if it exists."""

    @abstractmethod
    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        """Copy a local file, which should have this `sha256`, over an existing one. Returns the sha256 of the copied
        bytes."""

    @abstractmethod
    def _renew(self, local: Path, path: str, sha256: str) -> None:
        """Date a file that equals a local one as if it were just written."""

    def refuses_outdated_swap(self, path: str) -> bool:
        """Whether `swap` is refused if a file changes after the comparison. The call leaves other bytes at `path`."""
        self.replace(path, b"before")
        self.replace(path, b"now")
        return not self.swap(path, b"outdated", b"before")

    def now(self, beside: str) -> datetime:
        """The time at which the store would date a file beside this one now, independent of this machine's clock."""
        if self._clock is None:
            probe = str(PurePosixPath(beside).with_name(temporary_name()))
            self.create(probe, b"")
            try:
                self._clock = (self.modified(probe), monotonic())
            finally:
                self.delete(probe)
        then, started = self._clock
        return then + timedelta(seconds=monotonic() - started)

    def _holds(self, path: str, size: int, sha256: str) -> bool:
        """Whether a file has this content, as far as that is cheap to determine. Raises FileNotFoundError."""
        return self.size(path) == size and self.sha256(path) == sha256

    def _start(self, path: str, expected: bytes) -> bytes | None:
        """As many bytes of a file as are needed to compare it with the expected ones; None if there is no file."""
        try:
            return self.part(path, 0, len(expected) + 1)
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Whether the file exists."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def upload(self, local: Path, path: str, sha256: str, progress: ProgressCallback = no_progress) -> bool:
        """Copy a local file to a path that contains its `sha256`. False if it exists already; an old one is renewed.

        Any other content at that path is damaged and is replaced, with a warning. Raises InputError if the local file
        has changed.
        """
        try:
            if self._holds(path, local.stat().st_size, sha256):
                if self.now(path) - self.modified(path) > FRESH:
                    self._renew(local, path, sha256)
                return False
            _logger.warning("%s is damaged; it is written again", self.uri(path))
        except FileNotFoundError:
            pass
        if self._put(local, path, sha256, progress) != sha256:
            self.delete(path)
            raise InputError(f"file {local}", "changed while it was published", "publish it once it is finished")
        return True

    def sha256(self, path: str) -> str:
        """The sha256 of a file as it is stored, streamed. Raises FileNotFoundError."""
        return sha256_chunks(self.chunks(path))

    def download(self, path: str, target: Path, progress: ProgressCallback = no_progress) -> str:
        """Stream a file to the local `target`, which appears whole or not at all. Returns the sha256 of the written
        bytes."""
        return write_whole(target, counted(self.chunks(path), progress))


def counted(chunks: Iterable[bytes], progress: ProgressCallback) -> Iterator[bytes]:
    """The same chunks; `progress` gets the number of bytes so far."""
    done = 0
    for chunk in chunks:
        yield chunk
        progress(done := done + len(chunk))


_Identity = tuple[int, int]


def walk(
    folder: str | Path, *, recursive: bool, follow: bool, above: frozenset[_Identity] = frozenset()
) -> Iterator["os.DirEntry[str]"]:
    """All entries of a folder that are not folders; with `recursive`, also those of its subfolders.

    With `follow`, a link to a folder counts as that folder, unless the folder is being listed already. Without it, a
    link to a folder is an entry like every other link. Raises OSError if something cannot be listed.
    """
    try:
        status = os.stat(folder)  # noqa: PTH116 - of an entry, and of a path
        with os.scandir(folder) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if not is_folder(entry, follow):
            yield entry
        elif recursive:
            yield from walk(entry.path, recursive=True, follow=follow, above=above | {identity})


def is_folder(entry: "os.DirEntry[str]", follow: bool) -> bool:
    """Whether an entry is a folder, or with `follow` a link to one. Raises OSError if that is unknown."""
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise
