"""Several accesses to a store at once: requests, and transfers with progress that are stopped together."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import Event, Lock
from time import monotonic
from typing import TypeVar

from nerbench.artifacts.manifest import FileEntry
from nerbench.artifacts.storage.filesystem import REQUESTS_AT_ONCE, ProgressCallback

AT_ONCE = 4
EVERY_S = 1.0
_logger = logging.getLogger("nerbench.progress")
T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], at_once: int = REQUESTS_AT_ONCE
) -> list[Result]:
    """The results in the order of the items, for work that waits for a store; `at_once`: as in `Root`."""
    given = list(items)
    if len(given) < 2:
        return [function(item) for item in given]
    contexts = [copy_context() for _ in given]  # so that the threads see what is collected and remembered here
    with ThreadPoolExecutor(min(at_once, REQUESTS_AT_ONCE)) as pool:
        return list(pool.map(lambda context, item: context.run(function, item), contexts, given))


class Stopped(Exception):
    """Another file failed, or the user ended the program: this transfer is incomplete."""


def transfer(what: str, entries: Sequence[FileEntry], move: Callable[[FileEntry, ProgressCallback], T]) -> list[T]:
    """The results of `move` for the files, AT_ONCE of them at a time. `what` is logged with the completed share.

    `move` reports its progress and gets Stopped from that call if it should end. Raises the exception of the first file
    that failed.
    """
    transferred = _Progress(what, sum(entry.size for entry in entries))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="transfer") as pool:
        moving = [pool.submit(move, entry, transferred.listener(entry)) for entry in entries]
        try:
            wait(moving, return_when=FIRST_EXCEPTION)
        finally:
            transferred.stopped.set()
            pool.shutdown(cancel_futures=True)
    failed = [error for one in moving if not one.cancelled() and (error := one.exception())]
    for error in sorted(failed, key=lambda error: isinstance(error, Stopped)):
        raise error
    return [one.result() for one in moving]


class _Progress:
    """The bytes of several files, reported together at most once a second."""

    def __init__(self, what: str, total: int) -> None:
        self.stopped = Event()
        self._what, self._total = what, total
        self._done: dict[str, int] = {}
        self._lock = Lock()
        self._reported_at = monotonic()  # transfers that take less than a second are not reported

    def listener(self, entry: FileEntry) -> ProgressCallback:
        def listen(done: int) -> None:
            if self.stopped.is_set():
                raise Stopped
            with self._lock:
                self._done[entry.path] = done
                if monotonic() - self._reported_at < EVERY_S:
                    return
                self._reported_at = monotonic()
                megabytes = sum(self._done.values()) / 1e6
            _logger.info("%s: %.0f of %.0f MB", self._what, megabytes, self._total / 1e6)

        return listen
