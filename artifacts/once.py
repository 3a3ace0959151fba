"""Reads that a run makes once: manifests never change, and a reference must mean the same throughout a run."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

_MOST = 2_000
"""Number of answers of a kind to remember; a manifest takes about 20 KB."""
_known: ContextVar[defaultdict[str, dict[Hashable, Any]] | None] = ContextVar("read once", default=None)
T = TypeVar("T")


@contextmanager
def read_once() -> Iterator[None]:
    """Within this context, and in threads that inherit it, `once` answers a repeated question from memory."""
    if _known.get() is not None:
        yield
        return
    token = _known.set(defaultdict(dict))
    try:
        yield
    finally:
        _known.reset(token)


def once(kind: str, key: Hashable, read: Callable[[], T], *, keep: Callable[[T], bool] = lambda found: True) -> T:
    """What `read` returns, or returned before for the same kind and key; outside `read_once`, it is always called.

    An answer for which `keep` is false is not remembered, and neither is an exception.
    """
    kinds = _known.get()
    if kinds is None:
        return read()
    known = kinds[kind]
    if key in known:
        return cast(T, known[key])
    found = read()
    if keep(found) and len(known) < _MOST:
        known[key] = found
    return found
