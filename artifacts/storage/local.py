"""Local folders, through fsspec's filesystem where its guarantees suffice and through a subclass of it elsewhere."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from fsspec.implementations.local import LocalFileSystem

from nerbench.artifacts.digests import file_chunks, open_file
from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.storage.filesystem import (
    Inventory,
    ProgressCallback,
    Root,
    counted,
    is_folder,
    no_progress,
    walk,
)
from nerbench.artifacts.storage.paths import is_temporary, locked, publish_new, write_whole
from nerbench.artifacts.storage.remote import FsspecRoot


class DurableLocalFileSystem(LocalFileSystem):  # type: ignore[misc]
    """fsspec's local filesystem whose `pipe_file` writes whole, synced files, exclusively with `mode="create"`.

    fsspec's own `pipe_file` checks whether a file exists and then writes, so that two concurrent writers may both
    succeed. Readers see its files grow, and a crash of the machine may lose them. Its `open` waits for the writer of a
    pipe. This class is not registered: other users of `file://` in this process get fsspec's own.
    """

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        """Write a file; raises FileExistsError, InputError for an unwritable folder, NerbenchError for a full disk."""
        write_whole(Path(path), [value], publish_new if mode == "create" else os.replace)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> IO[bytes]:
        """A regular file opened for reading. Raises FileNotFoundError for everything else."""
        if mode != "rb":
            raise NotImplementedError("files are written whole, by pipe_file")
        return open_file(Path(path))


class LocalRoot(FsspecRoot):
    """A local folder.

    It makes its own listings: fsspec's `ls` treats a link to a folder as neither file nor folder and asks for every
    entry's size (1.6 times as long for 2,000 files), and its `find` skips folders that cannot be listed.
    """

    def __init__(self, folder: str) -> None:
        self.url = os.path.abspath(Path(folder).expanduser())  # noqa: PTH100 - resolve() follows links
        self._fs, self._base = DurableLocalFileSystem(), self.url.rstrip("/")
        self.at_once = os.cpu_count() or 1  # nothing waits for an answer, and more threads wait for each other

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        with _failing(arguments[0], "removed" if method == "rm_file" else "read"):
            return getattr(self._fs, method)(*arguments, **options)

    def create(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(path), data, mode="create")

    def replace(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._path(path), data)

    def swap(self, path: str, data: bytes, expected: bytes | None) -> bool:
        with locked(Path(self._path(path)).parent):
            if self._start(path, expected or b"") != expected:
                return False
            self.replace(path, data)
            return True

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        with _failing(self._path(path), "read"), self._fs.open(self._path(path)) as stream:
            yield stream

    def files(self, folder: str = "", recursive: bool = False) -> list[str]:
        top = self._path(folder) if folder else self.url
        with _failing(top, "listed"):
            found = [entry for entry in walk(top, recursive=recursive, follow=True) if not is_temporary(entry.name)]
        return self._relative(found)

    def folders(self, folder: str) -> list[str]:
        top = self._path(folder)
        try:
            with _failing(top, "listed"), os.scandir(top) as listing:
                return self._relative(entry for entry in listing if is_folder(entry, True))
        except FileNotFoundError:
            return []

    def inventory(self, folder: str) -> Inventory:
        top = self._path(folder)
        with _failing(top, "listed"):
            if self._fs.islink(top):
                return Inventory([], [folder])
            links: dict[bool, list[os.DirEntry[str]]] = {True: [], False: []}
            for entry in walk(top, recursive=True, follow=False):
                links[entry.is_symlink()].append(entry)
        return Inventory(self._relative(links[False]), self._relative(links[True]))

    def refuses_outdated_swap(self, path: str) -> bool:
        with TemporaryDirectory(prefix=".", suffix=".tmp", dir=self.url) as scratch:  # for the lock, too
            return Root.refuses_outdated_swap(LocalRoot(scratch), path)

    def _relative(self, entries: Iterable["os.DirEntry[str]"]) -> list[str]:
        return sorted(entry.path[len(self._base) + 1 :] for entry in entries)

    def chunks(self, path: str) -> Iterator[bytes]:
        with _failing(self._path(path), "read"):
            yield from file_chunks(Path(self._path(path)))

    def _put(self, local: Path, path: str, sha256: str, progress: ProgressCallback) -> str:
        return write_whole(Path(self._path(path)), counted(file_chunks(local), progress))

    def _renew(self, local: Path, path: str, sha256: str) -> None:
        try:
            os.utime(self._path(path))
        except OSError:  # another user's file, which cannot be dated but can be replaced
            self._put(local, path, sha256, no_progress)


@contextmanager
def _failing(path: str, what: str) -> Iterator[None]:
    """Raise what `Root` documents instead of the system's errors, except FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if what == "read" and isinstance(error, NotADirectoryError | IsADirectoryError):
            raise FileNotFoundError(errno.ENOENT, "is not a file", path) from error
        place, problem = error.filename or path, f"cannot be {what} ({error.strerror or error})"
        is_of_path = error.errno in {errno.ELOOP, errno.ENAMETOOLONG}
        if is_of_path or isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError):
            raise InputError(str(place), problem, "check the path and its permissions") from error
        raise StoreUnreachableError(f"{place} {problem}", path) from error
