"""Makes any listing or read of a file system fail, by its number, with any system error."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

ASKING = ("ListObjectsV2", "HeadObject", "GetObject")
"""The read-only operations of S3."""


class Faults:
    """Counts the calls, and makes the call at `position` (from 0) fail; with `lasting`, also all later calls."""

    def __init__(self, position: int | None, number: int, *, lasting: bool = False) -> None:
        self.calls = 0
        self._position, self._number, self._lasting = position, number, lasting
        self._lock = Lock()

    @property
    def happened(self) -> bool:
        """Whether there were enough calls."""
        return self._position is not None and self.calls > self._position

    def pass_on(self, path: str | None = None) -> None:
        """Count a call. Raises OSError if it is to fail."""
        with self._lock:
            call, self.calls = self.calls, self.calls + 1
        if self._position is not None and (call == self._position or (self._lasting and call > self._position)):
            raise OSError(self._number, os.strerror(self._number), *([path] if path else []))

    def around(self, original: Callable[..., Any], concerns: Callable[[Any], bool]) -> Callable[..., Any]:
        """A wrapper of a function that counts calls whose first argument is in the store."""

        def counted(*arguments: Any, **options: Any) -> Any:
            if concerns(arguments[0] if arguments else None):
                self.pass_on(str(arguments[0]))
            return original(*arguments, **options)

        return counted


@contextmanager
def faulty_reads(url: str, faults: Faults) -> Iterator[None]:
    """Within this context, reads and listings of the folder, memory prefix or bucket at `url` may fail."""
    with pytest.MonkeyPatch.context() as patch:
        if url.startswith("memory://"):
            _spoil_memory(patch, faults)
        elif url.startswith("s3://"):
            _spoil_s3(patch, faults)
        else:
            _spoil_disk(patch, faults, url)
        yield


def _spoil_disk(patch: pytest.MonkeyPatch, faults: Faults, folder: str) -> None:
    def concerns(path: Any) -> bool:
        return isinstance(path, str | Path) and str(path).startswith(folder)

    scandir = os.scandir
    patch.setattr(os, "scandir", lambda path=".": _Listing(path, scandir, faults) if concerns(path) else scandir(path))
    patch.setattr(os, "stat", faults.around(os.stat, concerns))
    patch.setattr(io, "open", faults.around(io.open, concerns))


def _spoil_memory(patch: pytest.MonkeyPatch, faults: Faults) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    for name in ("ls", "info", "cat_file", "modified"):
        original = getattr(MemoryFileSystem, name)
        patch.setattr(MemoryFileSystem, name, faults.around(original, lambda path: True))


def _spoil_s3(patch: pytest.MonkeyPatch, faults: Faults) -> None:
    from aiobotocore.client import AioBaseClient

    original = AioBaseClient._make_api_call

    async def call(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation in ASKING:
            faults.pass_on()
        return await original(self, operation, parameters)

    patch.setattr(AioBaseClient, "_make_api_call", call)


class _Listing:
    """The result of os.scandir: opening, reading and asking for the kind of an entry are separate calls."""

    def __init__(self, path: str | Path, scandir: Callable[..., Any], faults: Faults) -> None:
        faults.pass_on(str(path))
        self._path, self._faults, self._listing = path, faults, scandir(path)

    def __enter__(self) -> "_Listing":
        return self

    def __exit__(self, *_: object) -> None:
        self._listing.close()

    def __iter__(self) -> Iterator["_Entry"]:
        self._faults.pass_on(str(self._path))
        return (_Entry(entry, self._faults) for entry in self._listing)


class _Entry:
    def __init__(self, entry: "os.DirEntry[str]", faults: Faults) -> None:
        self._entry, self._faults = entry, faults

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        self._faults.pass_on(self._entry.path)
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)
