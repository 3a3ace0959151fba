"""Makes a share of all requests fail, determined by a seed."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from threading import Lock, Thread

from fault_proxy import FaultProxy

_READING = (503, 500, "drop", "cut", "delay")
_WRITING = (503, 409, "drop", "lost", "late", "delay")
_CONDITIONAL = (412, "refused")


class RandomFaults(FaultProxy):
    """Decides by seed, request and its number of repetitions, so that the order of clients does not matter."""

    def __init__(self, upstream: str, share: float, seed: int) -> None:
        super().__init__(upstream)
        self.share = share
        """The share of requests that fail."""
        self.made: Counter[int | str] = Counter()
        """The faults so far."""
        self._seed = seed
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def next_fault(self, method: str, path: str, headers: Message) -> int | str | None:
        with self._lock:
            self._seen[method, path] += 1
            choice = random.Random(f"{self._seed} {method} {path} {self._seen[method, path]}")
            if choice.random() >= self.share:
                return None
            fault = choice.choice(_kinds(method, headers))
            self.made[fault] += 1
            return fault

    def settle(self) -> None:
        """Stop making faults, and wait for delayed requests."""
        self.share = 0
        for timer in self.late:
            timer.join()


def _kinds(method: str, headers: Message) -> tuple[int | str, ...]:
    if method == "HEAD":
        return tuple(fault for fault in _READING if fault != "cut")
    if method == "GET":
        return _READING
    return (*_WRITING, *_CONDITIONAL) if "If-None-Match" in headers or "If-Match" in headers else _WRITING


@contextmanager
def faulty(upstream: str, share: float, seed: int) -> Iterator[RandomFaults]:
    """A running proxy."""
    with RandomFaults(upstream, share, seed) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server
        finally:
            server.settle()
            server.shutdown()
