"""Attempts are counted, and the pauses between them are random and grow."""

from collections.abc import Callable

import pytest

from nerbench.artifacts.errors import StoreUnreachableError
from nerbench.artifacts.storage.retries import Unanswered, attempt


def failing(times: int, error: Exception) -> Callable[[], int]:
    calls = 0

    def operation() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return operation


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_up_to_three_attempts(failures: int, pauses: list[float]) -> None:
    assert attempt(failing(failures, Unanswered("503")), "s3://b") == failures + 1
    assert len(pauses) == failures


def test_the_last_failure_is_reported() -> None:
    with pytest.raises(
        StoreUnreachableError, match=r"^s3://b cannot be reached; .* 3 attempts failed with 503 Slow down$"
    ):
        attempt(failing(3, Unanswered("503\nSlow down")), "s3://b")


def test_other_errors_are_not_repeated(pauses: list[float]) -> None:
    with pytest.raises(KeyError):
        attempt(failing(1, KeyError("x")), "s3://b")
    assert pauses == []


def test_pauses_are_anywhere_below_a_growing_limit(pauses: list[float]) -> None:
    for _ in range(200):
        attempt(failing(2, Unanswered("503")), "s3://b")
    first, second = pauses[::2], pauses[1::2]
    assert 0 <= min(first) < 0.1
    assert 0.9 < max(first) <= 1.0
    assert 0 <= min(second) < 0.2
    assert 1.8 < max(second) <= 2.0
