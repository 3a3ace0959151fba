"""Retries for network operations: three attempts in all, with random and growing pauses between them."""

import logging
import random
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from nerbench.artifacts.errors import StoreUnreachableError

ATTEMPTS = 3
_PAUSE_S = 1.0  # the longest pause before the second attempt; doubled before the third
_logger = logging.getLogger(__name__)
T = TypeVar("T")


class Unanswered(Exception):
    """The connection to a store failed, or the store was too busy."""


def attempt(operation: Callable[[], T], url: str, attempts: int = ATTEMPTS) -> T:
    """The result of `operation`, which is called again if it raises Unanswered, up to the given number of attempts.

    After the last attempt, raises StoreUnreachableError naming `url`. Any other exception of `operation` is raised at
    once.
    """
    for number in range(1, attempts):
        try:
            return operation()
        except Unanswered as error:
            _logger.warning("%s: attempt %d of %d failed: %s", url, number, attempts, error)
        # "Full jitter": workers that failed together must not retry at the same time.
        sleep(random.uniform(0, _PAUSE_S * 2 ** (number - 1)))
    try:
        return operation()
    except Unanswered as error:
        problem = f"cannot be reached; the last of {attempts} attempts failed with {error}"
        raise StoreUnreachableError(" ".join(f"{url} {problem}".split()), url) from error
