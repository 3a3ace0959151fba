"""Runs an action at one call of a file system: a crash, or the action of another process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root

WRITES = ("create", "delete")
CALLS = ("create", "delete", "files", "read", "exists")


class Crash(BaseException):
    """The process is dead: none of its further calls reaches the file system."""


class Interruption:
    """The progress of an interruption."""

    calls = 0
    happened = False
    """Whether there were enough calls."""


@contextmanager
def at_call(url: str, names: tuple[str, ...], number: int, action: Callable[[], object]) -> Iterator[Interruption]:
    """Run `action` before the call of this number, from 0, among those of the named methods of the root at `url`.

    The calls of `action` itself do not count. After a Crash every further call raises it too.
    """
    kind, state, acting = type(open_root(url)), Interruption(), False

    def interrupted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Root, *arguments: Any, **options: Any) -> Any:
            nonlocal acting
            if not acting:
                state.calls += 1
                if state.calls > number and (not state.happened or action is crash):
                    state.happened = acting = True
                    try:
                        action()
                    finally:
                        acting = False
            return original(self, *arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nerbench.artifacts.transfers.REQUESTS_AT_ONCE", 1)
        for name in names:
            patch.setattr(kind, name, interrupted(getattr(kind, name)))
        yield state


def crash() -> None:
    """An action that ends the process."""
    raise Crash
