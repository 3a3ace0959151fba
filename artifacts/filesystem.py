"""Where bytes are kept: a local folder, `memory://`, `s3://` or another fsspec filesystem, behind one small class.

The quirks of local files are dealt with here and in `paths`, those of all others in `remote`, S3's own in `s3`.
"""

import errno
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from artifacts.digests import file_chunks, sha256_chunks
from artifacts.paths import is_temporary, publish_new, relative_path, write_whole

_logger = logging.getLogger(__name__)


class Root(ABC):
    """A folder of a file system. All paths given to it are relative to it, with `/`."""

    url: str
    """Absolute: `/folder` or `protocol://…`."""

    @staticmethod
    def open(url: str) -> "Root":
        """The root at a plain path or fsspec URL, which need not exist. Raises InputError for an unusable one.

        So do all its methods where access is refused or a bucket is missing, and StoreUnreachableError where a store
        gives no answer in three attempts: FileNotFoundError always means that the file is not there.
        """
        protocol, found, path = url.partition("://")
        if not found or protocol in ("file", "local"):
            return _LocalRoot(path if found else url)
        from artifacts.remote import open_remote

        return open_remote(url)

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
    def read(self, path: str) -> bytes:
        """The bytes of a file; raises FileNotFoundError."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Bytes of a file; raises FileNotFoundError."""

    @abstractmethod
    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        """The sorted paths of the finished files in a folder; empty where there is no such folder."""

    @abstractmethod
    def chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of a file in pieces; raises FileNotFoundError."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def _put(self, local: Path, path: str) -> None:
        """Copy a local file over whatever was there."""

    def _holds(self, path: str, size: int, sha256: str) -> bool:
        """Whether a file has this content, as far as that is cheap to know; raises FileNotFoundError."""
        return self.size(path) == size and self.sha256(path) == sha256

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def upload(self, local: Path, path: str, sha256: str) -> bool:
        """Copy a local file to a path that is made of its `sha256`; False if it is there already.

        Whatever else is there is damaged, for only this content belongs there: it is replaced, with a warning.
        """
        try:
            if self._holds(path, local.stat().st_size, sha256):
                return False
            _logger.warning("%s is damaged; it is written again", self.uri(path))
        except FileNotFoundError:
            pass
        self._put(local, path)
        return True

    def sha256(self, path: str) -> str:
        """The sha256 of a file as it is stored, streamed; raises FileNotFoundError."""
        return sha256_chunks(self.chunks(path))

    def download(self, path: str, target: Path) -> str:
        """Stream a file to the local `target`, which appears whole or not at all; the sha256 of what was written."""
        return write_whole(target, self.chunks(path))


class _LocalRoot(Root):
    """A folder of this machine."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100 - resolve() follows links
        self.url = str(self._folder)

    def _path(self, path: str) -> Path:
        return self._folder / relative_path(path)

    def create(self, path: str, data: bytes) -> None:
        write_whole(self._path(path), [data], publish_new)

    def replace(self, path: str, data: bytes) -> None:
        write_whole(self._path(path), [data])

    def read(self, path: str) -> bytes:
        return self._path(path).read_bytes()

    def size(self, path: str) -> int:
        found = self._path(path)
        if found.is_dir():
            raise FileNotFoundError(errno.ENOENT, "is a folder", str(found))
        return found.stat().st_size

    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        found: list[Path] = []
        for current, folders, names in os.walk(self._path(folder) if folder else self._folder):
            found += [Path(current, name) for name in names if not is_temporary(name)]
            if not recursive:
                folders.clear()
        return sorted(path.relative_to(self._folder).as_posix() for path in found)

    def chunks(self, path: str) -> Iterator[bytes]:
        return file_chunks(self._path(path))

    def delete(self, path: str) -> None:
        self._path(path).unlink(missing_ok=True)

    def _put(self, local: Path, path: str) -> None:
        write_whole(self._path(path), file_chunks(local))
