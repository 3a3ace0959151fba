"""Reads that a run makes once: manifests never change, and a reference must mean the same throughout a run."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any, TypeVar, cast

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.storage.filesystem import Root

_MOST = 2_000
"""Number of answers of a kind to remember; a manifest takes about 20 KB."""
_MOST_BYTES = 1 << 26
"""Size of the files that are held at a time."""
_SMALL = 1 << 22
_BYTES = "bytes"
_lock = Lock()
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


def sha256_and_hold(root: Root, path: str) -> str:
    """The digest of a file. Within `read_once`, the bytes of a small one are kept until `take` gets them, if there is
    room. Raises FileNotFoundError."""
    data = root.part(path, 0, _SMALL)
    if len(data) == _SMALL:
        return root.sha256(path)
    sha256, kinds = sha256_hex(data), _known.get()
    if kinds is not None:
        with _lock:
            if len(data) + sum(map(len, kinds[_BYTES].values())) <= _MOST_BYTES:
                kinds[_BYTES][sha256] = data
    return sha256


def take(sha256: str) -> bytes | None:
    """The held bytes with this digest, which are no longer held afterwards; None if there are none."""
    kinds = _known.get()
    if kinds is None:
        return None
    with _lock:
        data: bytes | None = kinds[_BYTES].pop(sha256, None)
    return data
