"""Common behaviour of fsspec filesystems; `memory://`; and filesystems without a separate class."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import RLock
from typing import IO, Any

from nerbench.artifacts.digests import sha256_file, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, InputError, refuse_credentials
from nerbench.artifacts.storage.filesystem import Inventory, ProgressCallback, Root
from nerbench.artifacts.storage.paths import is_temporary, relative_path
from nerbench.artifacts.storage.retries import Unanswered, attempt

_BLOCK = 8 << 20
_ABOUT_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_ABOUT_CALLS = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, TypeError, ValueError)
_REFUSALS = (400, 401, 403, 405, 501)
"""HTTP statuses that a retry does not change."""
_memory_lock = RLock()


class FsspecRoot(Root):
    """A prefix of an fsspec filesystem whose `mode="create"` is exclusive."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._fs, base = self._filesystem()
        self._base: str = base.rstrip("/")

    def _filesystem(self) -> tuple[Any, str]:
        """The fsspec filesystem of this root, and the root's path there."""
        from fsspec.core import url_to_fs

        try:
            fs, base = url_to_fs(self.url)
        except (ValueError, ImportError) as error:
            remedy = "use a folder, memory://, s3:// or another URL whose fsspec package is installed"
            raise InputError(f"location {self.url}", str(error), remedy) from None
        return fs, base

    def _path(self, path: str) -> str:
        return f"{self._base}/{relative_path(path)}"

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the filesystem with retries, and raise the exceptions that `Root` documents."""
        return attempt(lambda: self._once(method, *arguments, **options), self.url)

    def _once(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._fs, method)(*arguments, **options)
        except Exception as error:
            if meaning := self._meaning(error):
                raise meaning from error
            raise

    def _meaning(self, error: Exception) -> Exception | None:
        """The exception to raise instead of the filesystem's own, if any."""
        if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
            return self._meaning(error.__cause__)  # fsspec's HTTP raises it if a server does not answer
        if isinstance(error, PermissionError):
            return InputError(f"location {self.url}", f"access is refused ({error})", "check your credentials")
        if isinstance(error, NotImplementedError):
            remedy = "use a folder, memory:// or s3://"
            return InputError(f"location {self.url}", "does not support this operation", remedy)
        if isinstance(error, _ABOUT_FILES + _ABOUT_CALLS):
            return None
        return _meaning_of_status(error, self.url) or Unanswered(f"{type(error).__name__}: {error}")

    def create(self, path: str, data: bytes) -> None:
        data = bytes(data)  # a map of a file is neither sent by s3fs nor equal to other bytes
        attempt(lambda: self._create_once(path, data), self.url)

    def _create_once(self, path: str, data: bytes) -> None:
        try:
            self._once("pipe_file", self._path(path), data, mode="create")
        except FileExistsError as error:
            found = self._start(path, data)
            if found is None:
                raise Unanswered(f"{self.uri(path)} is reported to exist, but does not") from error
            if found != data:  # otherwise it is our own write, whose reply was lost
                raise FileExistsError(errno.EEXIST, "exists already", self.uri(path)) from error

    def replace(self, path: str, data: bytes) -> None:
        self._call("pipe_file", self._path(path), data)

    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        if expected is not None:
            if same := self._start(path, expected) == expected:
                self.replace(path, data)
            return same
        try:
            self.create(path, data)
        except FileExistsError:
            return False
        return True

    def refuses_outdated_swap(self, path: str) -> bool:
        return False  # two writers can both read, compare and write

    def read(self, path: str) -> bytes:
        data: bytes = self._call("cat_file", self._path(path))
        return data

    def part(self, path: str, start: int, end: int) -> bytes:
        data: bytes = self._call("cat_file", self._path(path), start=start, end=end)
        return data

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        yield BytesIO(self.read(path))

    def modified(self, path: str) -> datetime:
        when: datetime = self._call("modified", self._path(path))
        return when if when.tzinfo else when.replace(tzinfo=UTC)

    def size(self, path: str) -> int:
        info: dict[str, Any] = self._call("info", self._path(path))
        if info["type"] != "file":
            raise FileNotFoundError(errno.ENOENT, "is not a file", self.uri(path))
        return int(info["size"])

    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        return [path for path in self._listed(folder, recursive) if not is_temporary(path.rpartition("/")[2])]

    def folders(self, folder: str) -> list[str]:
        top = self._path(folder)
        names = (entry["name"].rstrip("/") for entry in self._entries(top) if entry["type"] == "directory")
        return sorted(name[len(self._base) + 1 :] for name in names if name.startswith(f"{top}/"))

    def inventory(self, folder: str) -> Inventory:
        return Inventory(self._listed(folder, True), [])

    def _listed(self, folder: str, recursive: bool) -> list[str]:
        top = self._path(folder) if folder else self._base
        names = self._below(top) if recursive else self._names(self._entries(top))
        # A name that ends with "/" is an empty object that a console shows as a folder.
        return sorted(name[len(self._base) + 1 :] for name in names if name.startswith(f"{top}/") and name[-1] != "/")

    def _below(self, folder: str) -> list[str]:
        """Does not use `find` or `walk`, which treat folders that cannot be listed as empty."""
        entries = self._entries(folder)
        folders = [entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"]
        deeper = [name for one in folders if one.startswith(f"{folder}/") for name in self._below(one)]
        return [*self._names(entries), *deeper]

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = self._call("ls", folder, detail=True)
        except FileNotFoundError:
            return []
        return found

    def _names(self, entries: list[dict[str, Any]]) -> list[str]:
        return [entry["name"] for entry in entries if entry["type"] != "directory"]

    def chunks(self, path: str) -> Iterator[bytes]:
        first = self.part(path, 0, _BLOCK)
        # The size of a large file only, because most files are read with one request.
        size = self.size(path) if len(first) == _BLOCK else len(first)
        if size < len(first):
            raise CorruptArtifactError(f"{self.uri(path)} has more bytes than its announced {size}")
        if first:
            yield first
        for start in range(_BLOCK, size, _BLOCK):  # each with its own attempts
            yield self.part(path, start, min(start + _BLOCK, size))

    def delete(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._call("rm_file", self._path(path))

    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        self._call("put_file", str(local), self._path(path))
        return sha256_file(local)

    def _renew(self, local: Path, path: str, sha256: str) -> None:
        self._call("put_file", str(local), self._path(path))


class MemoryRoot(FsspecRoot):
    """`memory://`, shared by the threads of this process. It does not make a check and a write atomic by itself."""

    def create(self, path: str, data: bytes) -> None:
        with _memory_lock:
            self._call("pipe_file", self._path(path), data, mode="create")

    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        with _memory_lock:
            return super().swap(path, data, expected)

    def refuses_outdated_swap(self, path: str) -> bool:
        return Root.refuses_outdated_swap(self, path)

    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        data = local.read_bytes()
        self.replace(path, data)  # put_file would show other threads a half-written file
        progress(len(data))
        return sha256_hex(data)

    def _renew(self, local: Path, path: str, sha256: str) -> None:
        self.replace(path, local.read_bytes())


def _meaning_of_status(error: Exception, url: str) -> Exception | None:
    """The meaning of an HTTP status that a retry will not change; aiohttp attaches the status to its exceptions."""
    status = getattr(error, "status", 0)
    if status in (404, 410):
        return FileNotFoundError(errno.ENOENT, "is not there", url)
    if status in _REFUSALS:
        return InputError(f"location {url}", f"the request is refused ({error})", "check the URL, or use s3://")
    return None


def check_url(url: str) -> None:
    """Raise InputError for a filesystem without exclusive creation."""
    if url.startswith("hf://") or "::" in url:  # the Hub creates nothing exclusively; chained caches serve stale bytes
        raise InputError(f"location {url}", "cannot be written to", "use a folder or a URL like s3://bucket/prefix")
    refuse_credentials("location", url)
