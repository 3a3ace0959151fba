"""Lets a process kill itself at its k-th call of the file system or of S3.

The points are numbered in the order of the calls, and a dry run counts them. Python's audit events report calls before
they happen; calls without an event (writes, fsync, requests) are wrapped.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from threading import Lock
from typing import Any

_EVENTS = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir", "os.chmod"}
_EVENTS |= {"os.truncate", "os.utime", "os.symlink", "fcntl.flock", "fcntl.lockf"}


class Failpoints:
    """Counts the calls that concern the folders below `inside`; at call `kill_at` (0: never) the process dies."""

    def __init__(self, inside: str, kill_at: int) -> None:
        self.names: list[str] = []
        """The calls in order."""
        self._inside = inside
        self._kill_at = kill_at
        self._lock = Lock()

    def install(self) -> None:
        """Start to count, until the end of the process."""
        sys.addaudithook(self._audit)
        os.fsync = self._around("fsync", os.fsync)
        os.write = self._around("write", os.write)
        os.fdopen = self._fdopen
        from s3fs import S3FileSystem

        S3FileSystem._call_s3 = self._around_request(S3FileSystem._call_s3)

    def reach(self, name: str) -> None:
        """Count a point."""
        with self._lock:
            self.names.append(name)
            if len(self.names) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and (event.startswith("fcntl.") or self._concerns(arguments)):
            self.reach(event)

    def _concerns(self, arguments: tuple[Any, ...]) -> bool:
        texts = (os.fsdecode(item) for item in arguments[:2] if isinstance(item, str | bytes | os.PathLike))
        return any(text.startswith(self._inside) for text in texts)

    def _around(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.reach(name)
            result = original(*arguments)
            self.reach(f"after {name}")
            return result

        return counted

    def _around_request(self, original: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(fs: Any, method: str, *arguments: Any, **options: Any) -> Any:
            self.reach(method)
            result = await original(fs, method, *arguments, **options)
            self.reach(f"after {method}")
            return result

        return counted

    def _fdopen(self, descriptor: int, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode != "wb":
            return io.open(descriptor, mode, *arguments, **options)  # noqa: UP020 - a descriptor is not a path
        return io.BufferedWriter(_HalfWriter(descriptor, self))


class _HalfWriter(io.FileIO):
    """Writes half of its data at a time, as the system may, so that a kill leaves partial files."""

    def __init__(self, descriptor: int, points: Failpoints) -> None:
        super().__init__(descriptor, "wb")
        self._points = points

    def write(self, data: Any) -> int:
        self._points.reach("write")
        written = super().write(memoryview(data)[: (len(data) + 1) // 2])
        self._points.reach("after half a write")
        return written
