import math

import numpy as np
import pytest
from scipy import stats

from nerbench.tasks.statistics.prediction_limit import FEWEST_RUNS, slowdown

QUIET = [0.100, 0.101, 0.099, 0.100, 0.102, 0.098, 0.100]


def test_a_run_like_the_earlier_ones_is_not_suspicious() -> None:
    found = slowdown(QUIET, 0.103, margin=0.1, confidence=0.99)
    assert found
    assert not found.is_suspicious
    assert found.reference_s == pytest.approx(0.1)
    assert found.ratio == pytest.approx(1.03)


def test_a_fifth_slower_is_suspicious() -> None:
    found = slowdown(QUIET, 0.12, margin=0.1, confidence=0.99)
    assert found
    assert found.is_suspicious
    assert found.runs == len(QUIET)


def test_faster_is_never_suspicious() -> None:
    found = slowdown(QUIET, 0.05, margin=0.0, confidence=0.6)
    assert found
    assert not found.is_suspicious


def test_the_limit_is_the_textbook_prediction_limit() -> None:
    window = [1.0, 1.1, 1.25, 1.4, 1.5, 1.3, 1.2]
    logs = sorted(math.log(x) for x in window)
    centre = logs[3]
    mad = sorted(abs(x - centre) for x in logs)[3]
    expected = stats.t.ppf(0.95, 6) * 1.4826 * mad * math.sqrt(1 + 1 / 7)
    found = slowdown(window, 1.0, margin=0.0, confidence=0.95)
    assert found
    assert found.limit == pytest.approx(math.exp(expected))


def test_one_busy_run_among_the_earlier_ones_hides_nothing() -> None:
    found = slowdown([*QUIET, 0.4], 0.12, margin=0.1, confidence=0.99)
    assert found
    assert found.is_suspicious


def test_within_the_margin_nothing_is_suspicious_however_quiet_the_host() -> None:
    found = slowdown([0.1] * 9, 0.109, margin=0.1, confidence=0.99)
    assert found
    assert not found.is_suspicious


def test_too_few_runs_give_no_limit() -> None:
    assert slowdown(QUIET[: FEWEST_RUNS - 1], 1.0, margin=0.1, confidence=0.99) is None


def test_order_and_unit_do_not_matter() -> None:
    found = slowdown(QUIET, 0.12, margin=0.1, confidence=0.99)
    turned = slowdown([1000 * x for x in reversed(QUIET)], 120, margin=0.1, confidence=0.99)
    assert found
    assert turned
    assert turned.ratio == pytest.approx(found.ratio)
    assert turned.limit == pytest.approx(found.limit)


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_alarms_are_rare_and_a_fifth_slower_is_caught(spread: float) -> None:
    random = np.random.default_rng(1)
    false, caught, histories, nights = 0, 0, 300, 30
    for _ in range(histories):
        series = list(0.1 * np.exp(random.normal(0, spread, nights + 14)))
        again = list(0.1 * np.exp(random.normal(0, spread, nights + 14)))
        false += any(
            both_suspicious(series[night - 14 : night], series[night], again[night]) for night in range(14, nights + 14)
        )
        caught += both_suspicious(series[:14], 1.2 * series[14], 1.2 * again[14]) or both_suspicious(
            [*series[1:14], 1.2 * series[14]], 1.2 * series[15], 1.2 * again[15]
        )
    assert false / histories <= 0.05
    assert caught / histories >= 0.95


def both_suspicious(window: list[float], tonight: float, again: float) -> bool:
    found = slowdown(window, min(tonight, again), margin=0.1, confidence=0.99)
    return bool(found and found.is_suspicious)
