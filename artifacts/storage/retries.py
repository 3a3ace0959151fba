"""Trying again what a network may fail at: three attempts in all, with random and growing pauses between them."""

import logging
import random
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from nerbench.artifacts.errors import StoreUnreachableError

ATTEMPTS = 3
_PAUSE_S = 1.0  # the longest before the second attempt; doubled before the third
_logger = logging.getLogger(__name__)
T = TypeVar("T")


class Unanswered(Exception):
    """Something on the way to a store failed, or the store was too busy."""


def attempt(operation: Callable[[], T], url: str, attempts: int = ATTEMPTS) -> T:
    """What `operation` returns; it is called again when it raises Unanswered, so many times in all.

    Then raises StoreUnreachableError naming `url`; whatever else `operation` raises is raised at once.
    """
    for number in range(1, attempts):
        try:
            return operation()
        except Unanswered as error:
            _logger.warning("%s: attempt %d of %d failed: %s", url, number, attempts, error)
        # "Full jitter": workers that failed together must not come back together.
        sleep(random.uniform(0, _PAUSE_S * 2 ** (number - 1)))
    try:
        return operation()
    except Unanswered as error:
        problem = f"cannot be reached; the last of {attempts} attempts failed with {error}"
        raise StoreUnreachableError(" ".join(f"{url} {problem}".split()), url) from error
