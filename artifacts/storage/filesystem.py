"""Where bytes are kept: a local folder or a remote filesystem, behind one small class.

This module and `paths` handle the quirks of local files, `remote` those of fsspec's filesystems, and `s3` those of S3.

The quirks of local files are dealt with in `local` and `paths`, those of all others in `remote`, S3's own in `s3`.

`os.walk` passes over folders that it cannot read and takes folders that it cannot stat for files; neither happens here.
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
"""Of a JSON record: each takes hundreds of bytes while it is checked."""
FRESH = timedelta(hours=1)
"""An upload that finds its file older than this renews it: whoever collects garbage takes it for new."""
ProgressCallback = Callable[[int], None]
"""Hears how many bytes of a file are done."""

_logger = logging.getLogger(__name__)


def no_progress(done: int) -> None:
    """The listener of transfers that nobody follows."""


class Inventory(NamedTuple):
    """The sorted paths of everything in a folder."""

    files: list[str]
    """Unfinished ones too."""
    links: list[str]
    """Symbolic links to files and folders, which were not followed."""


class Root(ABC):
    """A folder of a file system. All paths given to it are relative to it, with `/`."""

    url: str
    """Absolute: `/folder` or `protocol://…`."""
    _clock: tuple[datetime, float] | None = None
    """The store's time, and this process's monotonic clock then."""

    def uri(self, path: str) -> str:
        """The full location of a file."""
        return f"{self.url}/{relative_path(path)}"

    @abstractmethod
    def create(self, path: str, data: bytes) -> None:
        """Write a whole new file, or raise FileExistsError; among concurrent writers exactly one succeeds.

        On object stores it also succeeds where the same bytes are there already: after a lost reply, a client meets
        its own write.
        """

    @abstractmethod
    def replace(self, path: str, data: bytes) -> None:
        """Write a whole file over whatever was there; readers see the old bytes or the new."""

    @abstractmethod
    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        """Write a whole file where `expected` are its bytes now (None: there is no file); whether it was written.

        Of concurrent writers that expect the same, one succeeds: locally, in memory and on S3. Another fsspec
        filesystem may let two succeed, unless they expect no file.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The bytes of a file, however many; raises FileNotFoundError."""

    def read_record(self, path: str, limit: int) -> bytes:
        """The bytes of a JSON file; no more than `limit` are read, whatever its size is said to be.

        Raises FileNotFoundError, and CorruptArtifactError if it has more, or more than MAX_VALUES values.
        """
        data = self.part(path, 0, limit + 1)
        if len(data) > limit:
            raise CorruptArtifactError(f"{self.uri(path)} has more than {limit} bytes")
        if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
            raise CorruptArtifactError(f"{self.uri(path)} has more than {MAX_VALUES} values")
        return data

    @abstractmethod
    def part(self, path: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` to before `end`, or to its end, and never more; raises FileNotFoundError."""

    @abstractmethod
    def opened(self, path: str) -> AbstractContextManager[IO[bytes]]:
        """A file from which parts are read while it is open; raises FileNotFoundError. Remote ones are held whole."""

    @abstractmethod
    def modified(self, path: str) -> datetime:
        """When a file was written last; raises FileNotFoundError."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Bytes of a file; raises FileNotFoundError."""

    @abstractmethod
    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        """The sorted paths of the finished files in a folder; empty if there is no such folder.

        Links to folders are followed.
        """

    @abstractmethod
    def inventory(self, folder: str) -> Inventory:
        """Everything below a folder, which may be a link itself; nothing if there is no such folder."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file in pieces; raises FileNotFoundError."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        """Copy a local file, which should have this `sha256`, over whatever was there; the sha256 it has now."""

    @abstractmethod
    def _renew(self, local: Path, path: str, sha256: str) -> None:
        """Let a file that is the same as a local one count as just written."""

    def refuses_outdated_swap(self, path: str) -> bool:
        """Whether `swap` is refused where a file changes after it was compared; `path` is left with other bytes."""
        self.replace(path, b"before")
        self.replace(path, b"now")
        return not self.swap(path, b"outdated", b"before")

    def now(self, beside: str) -> datetime:
        """The time by which a file beside this one would be dated now, whatever this machine's clock says."""
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
        """Whether a file has this content, as far as that is cheap to know; raises FileNotFoundError."""
        return self.size(path) == size and self.sha256(path) == sha256

    def _start(self, path: str, expected: bytes) -> bytes | None:
        """As many bytes of a file as tell whether they are the expected ones; None if there is no file."""
        try:
            return self.part(path, 0, len(expected) + 1)
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def upload(self, local: Path, path: str, sha256: str, progress: ProgressCallback = no_progress) -> bool:
        """Copy a local file to a path that is made of its `sha256`; False if it is there already, renewed if old.

        Whatever else is there is damaged, for only this content belongs there: it is replaced, with a warning.
        Raises InputError if the local file has another content by now.
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
        """The sha256 of a file as it is stored, streamed; raises FileNotFoundError."""
        return sha256_chunks(self.chunks(path))

    def download(self, path: str, target: Path, progress: ProgressCallback = no_progress) -> str:
        """Stream a file to the local `target`, which appears whole or not at all; the sha256 of what was written."""
        return write_whole(target, counted(self.chunks(path), progress))


def counted(chunks: Iterable[bytes], progress: ProgressCallback) -> Iterator[bytes]:
    """The same pieces; `progress` hears how many bytes were taken so far."""
    done = 0
    for chunk in chunks:
        yield chunk
        progress(done := done + len(chunk))


_Identity = tuple[int, int]


def walk(
    folder: str | Path, *, recursive: bool, follow: bool, above: frozenset[_Identity] = frozenset()
) -> Iterator["os.DirEntry[str]"]:
    """All entries of a folder that are not folders; with `recursive`, those of its folders too.

    With `follow`, a link to a folder counts as that folder, unless it leads back to one that is being listed.
    Without, it is an entry like every other link. Raises OSError for what cannot be listed.
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
        if not _is_folder(entry, follow):
            yield entry
        elif recursive:
            yield from walk(entry.path, recursive=True, follow=follow, above=above | {identity})


def _is_folder(entry: "os.DirEntry[str]", follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise
