"""Warm-up and number of calls, with a simulated clock."""

from collections.abc import Callable, Iterator

import pytest
import torch

from nerbench.tasks.measuring.process.clock import (
    COPIED_BYTES,
    SIZE,
    Call,
    Limits,
    calibrate,
    host_seconds,
    sample,
    stopwatch,
    warm_up,
)


def saying(*seconds: float) -> Callable[[Call], float]:
    """A stopwatch with these readings, the last of which repeats; it calls the timed function."""
    readings: Iterator[float] = iter(seconds)
    last = seconds[-1]

    def read(call: Call) -> float:
        call()
        return next(readings, last)

    return read


def idle() -> None:
    pass


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [
        ((0.1,), 10),
        ((0.9, 0.1), 10),
        ((1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1), 17),
        ((0.1,) * 5 + (0.2,) * 5, 10),
    ],
)
def test_one_call_is_steady_when_the_last_five_are_as_slow_as_those_before(
    seconds: tuple[float, ...], rounds: int
) -> None:
    assert warm_up([idle], saying(*seconds), limit_s=100) == rounds


def test_several_calls_are_steady_when_a_round_is_as_slow_as_the_one_before() -> None:
    assert warm_up([idle, idle], saying(0.9, 0.9, 0.1), limit_s=100) == 3
    assert warm_up([idle, idle], saying(0.5, 0.5), limit_s=100) == 2


def test_calls_that_keep_getting_faster_are_measured() -> None:
    readings = [0.8**n for n in range(40)]
    assert warm_up([idle], saying(*readings), limit_s=3.0) == next(n for n in range(1, 40) if sum(readings[:n]) >= 3)


@pytest.mark.parametrize(("limits", "n"), [(Limits(10, 0.0), 10), (Limits(2, 1.0), 4), (Limits(1, 0.0), 1)])
def test_samples_until_there_are_enough_calls_and_seconds(limits: Limits, n: int) -> None:
    assert sample([idle], saying(0.25), limits) == [0.25] * n


def test_rounds_over_several_calls_are_whole() -> None:
    called: list[str] = []
    taken = sample([lambda: called.append("a"), lambda: called.append("b")], saying(0.5), Limits(3, 0.0))
    assert len(taken) == 4
    assert called == ["a", "b"] * 2


def test_clocks_call_once_and_count_forward() -> None:
    called: list[int] = []
    for seconds in (stopwatch(torch.device("cpu")), host_seconds):
        assert 0 < seconds(lambda: called.append(1)) < 10
    assert called == [1, 1]


def test_rates_are_amounts_by_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.measuring.process.clock.stopwatch", lambda device: saying(0.5))
    rates = calibrate(torch.device("cpu"))
    assert rates == {"sgemm_flops_per_s": 4 * SIZE**3, "copy_bytes_per_s": 4 * COPIED_BYTES}
