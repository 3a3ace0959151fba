"""Where bytes are kept: a local folder, `memory://`, `s3://` or another fsspec filesystem, behind one small class.

Every quirk of a file system or object store is dealt with here (and in `paths`), nowhere else.
"""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from artifacts.digests import file_chunks, sha256_chunks
from artifacts.errors import InputError
from artifacts.paths import is_temporary, relative_path, write_whole

_S3_OPTIONS = {"use_listings_cache": False, "skip_instance_cache": True}  # its cached listings never expire
_BLOCK = 8 << 20
_ATTEMPTS = 3
_memory_lock = Lock()


class Root(ABC):
    """A folder of a file system. All paths given to it are relative to it, with `/`."""

    url: str
    """Absolute: `/folder` or `protocol://…`."""

    @staticmethod
    def open(url: str) -> "Root":
        """The root at a plain path or fsspec URL, which need not exist. Raises InputError for an unusable one."""
        protocol, found, path = url.partition("://")
        if not found or protocol in ("file", "local"):
            return _LocalRoot(path if found else url)
        return _MemoryRoot(url) if protocol == "memory" else _RemoteRoot(url)

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
        """Copy a local file to a new one, or raise FileExistsError."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def upload(self, local: Path, path: str) -> bool:
        """Copy a local file to a path made of its digest; False if it is there already.

        Raises FileExistsError where a file of another size has that path.
        """
        if not self.exists(path):
            try:
                self._put(local, path)
                return True
            except OSError as error:
                if not _may_be_conflict(error) or not self.exists(path):
                    raise
        found, expected = self.size(path), local.stat().st_size
        if found != expected:
            raise FileExistsError(errno.EEXIST, f"holds {found} bytes instead of {expected}", self.uri(path))
        return False

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
        write_whole(self._path(path), [data], os.link)

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
        write_whole(self._path(path), file_chunks(local), os.link)


class _RemoteRoot(Root):
    """A prefix of an fsspec filesystem whose `mode="create"` is exclusive, as S3's is."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        _check_url(url)
        self.url = url.rstrip("/")
        try:
            self._fs, base = url_to_fs(self.url, **(_S3_OPTIONS if url.startswith(("s3://", "s3a://")) else {}))
        except (ValueError, ImportError) as error:
            remedy = "use a folder, memory://, s3:// or another URL whose fsspec package is installed"
            raise InputError(f"location {url}", str(error), remedy) from None
        self._base: str = base.rstrip("/")

    def _path(self, path: str) -> str:
        return f"{self._base}/{relative_path(path)}"

    def create(self, path: str, data: bytes) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._fs.pipe_file(self._path(path), data, mode="create")
                return
            except OSError as error:
                if not _may_be_conflict(error):
                    raise
                if self.exists(path):
                    if self.read(path) == data:
                        return
                    raise FileExistsError(errno.EEXIST, "exists already", self.uri(path)) from error
                if attempt == _ATTEMPTS:  # until then it was a 409: another write was under way, and did not stand
                    raise

    def replace(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(path), data)

    def read(self, path: str) -> bytes:
        data: bytes = self._fs.cat_file(self._path(path))
        return data

    def size(self, path: str) -> int:
        info: dict[str, Any] = self._fs.info(self._path(path))
        if info["type"] != "file":
            raise FileNotFoundError(errno.ENOENT, "is a folder", self.uri(path))
        return int(info["size"])

    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        top = self._path(folder) if folder else self._base
        found: list[str] = self._fs.find(top, maxdepth=None if recursive else 1)
        names = (name[len(self._base) + 1 :] for name in found if name.startswith(f"{top}/"))
        return sorted(name for name in names if not is_temporary(name.rpartition("/")[2]))

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._fs.open(self._path(path), "rb", block_size=_BLOCK) as stream:
            while chunk := stream.read(_BLOCK):
                yield chunk

    def delete(self, path: str) -> None:
        if self.exists(path):
            self._fs.rm_file(self._path(path))

    def _put(self, local: Path, path: str) -> None:
        self._fs.put_file(str(local), self._path(path), mode="create")


class _MemoryRoot(_RemoteRoot):
    """`memory://`: shared by this process's threads, whose checks and writes it does not keep apart by itself."""

    def create(self, path: str, data: bytes) -> None:
        with _memory_lock:
            self._fs.pipe_file(self._path(path), data, mode="create")

    def chunks(self, path: str) -> Iterator[bytes]:
        yield self.read(path)  # open() would hand every reader the same file object

    def _put(self, local: Path, path: str) -> None:
        self.create(path, local.read_bytes())  # put_file would show other threads a half-written file


def _check_url(url: str) -> None:
    if url.startswith("hf://") or "::" in url:  # the Hub creates nothing exclusively; chained caches serve stale bytes
        raise InputError(
            f"location {url}", "nothing can be kept there", "use a folder or a URL like s3://bucket/prefix"
        )
    if password := urlsplit(url).password:
        shown = url.replace(password, "***")
        raise InputError(f"location {shown}", "holds a password", "leave credentials to the environment")


def _may_be_conflict(error: OSError) -> bool:
    # s3fs says FileExistsError only if the reply names the condition; a bare 412 is EINVAL, a 409 is EIO
    return isinstance(error, FileExistsError) or error.errno in (errno.EINVAL, errno.EIO)
