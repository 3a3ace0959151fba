"""The C library's memory between batches.

glibc gives large blocks back to the system as soon as they are free, and the next batch gets them again page by page,
filled with zeros: a tenth to a sixth of the time of a first fp32 evaluation on a CPU.
"""

import ctypes
import sys
from functools import cache
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""mallopt's numbers, from malloc.h."""
_NEVER = (1 << 31) - 1
_LARGEST = 1 << 25
"""The largest block that glibc lets be taken from its own heap, in bytes."""


@cache
def tune_malloc() -> None:
    """From now on this process keeps what it frees, and `trim_malloc` alone returns it; with glibc only."""
    if libc := _glibc():
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, _NEVER)


def trim_malloc() -> None:
    """Give what is free back to the system; with glibc only."""
    if libc := _glibc():
        libc.malloc_trim(0)


@cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
