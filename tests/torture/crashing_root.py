"""Simulates a crash at step k within this process: from then on, no call of a store's `Root` returns."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root


class Crashed(BaseException):
    """The simulated process is dead."""


class Steps:
    """Counts the calls of the roots at `url`, each when it begins and when it ends; the `crash_at`-th is the last."""

    def __init__(self, url: str, crash_at: int) -> None:
        self.url, self._left, self._lock = url, crash_at, Lock()

    def take(self) -> None:
        """Count a step. Raises Crashed at the last one."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                raise Crashed


class _SteppedRoot:
    def __init__(self, root: Root, steps: Steps) -> None:
        self._root, self._steps = root, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._root, name)
        if not callable(found):
            return found

        def stepped(*arguments: Any, **options: Any) -> Any:
            self._steps.take()
            result = found(*arguments, **options)
            self._steps.take()
            return result

        return stepped


@contextmanager
def crashing(url: str, crash_at: int) -> Iterator[None]:
    """Within this context, roots of the store at `url` crash at a step."""
    steps = Steps(url, crash_at)

    def stepped(opened: str) -> Any:
        root = open_root(opened)
        return _SteppedRoot(root, steps) if root.url == url else root

    with pytest.MonkeyPatch.context() as patch:
        for name, module in [*sys.modules.items()]:
            if name.startswith("nerbench.") and getattr(module, "open_root", None) is open_root:
                patch.setattr(module, "open_root", stepped)
        yield
