import math
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.comparison.speed_gate import (
    FEWEST_RUNS,
    LATENCY,
    RATE,
    SERIES,
    comparable_runs,
    compare_runs,
    judged,
    slowdown,
)
from nerbench.tasks.config import SpeedGateConfig

GATE = SpeedGateConfig()
FIRST = date(2026, 1, 1)
TONIGHT = "2026-03-01"
NUMBERS = {"processes": 1, "batch_size": 1, "threads": 2}


def row(seconds: float | None, **changes: Any) -> dict[str, Any]:
    texts = {name: name for name in SERIES if name not in {*NUMBERS, "sequence_length"}}
    known = {"artifact_id": "a", "status": "ok", "sequence_length": None, RATE: 1e11, LATENCY: seconds}
    return texts | NUMBERS | known | changes


def write(results: str, nights: list[dict[str, Any]]) -> None:
    for number, one in enumerate(nights):
        day = str(FIRST + timedelta(days=number))
        write_table(results, "speed", [{"run_id": day} | one], date=day, key=f"k{number}")


@pytest.fixture
def results(tmp_path: Any) -> str:
    return str(tmp_path / "results")


def test_a_run_like_the_earlier_ones_passes(results: str) -> None:
    write(results, [row(0.01 + number / 10_000) for number in range(8)])
    found = compare_runs(results, row(0.0105), GATE, before=TONIGHT)
    verdict = judged(row(0.0105), found, GATE)
    assert (verdict["verdict"], verdict["failed"]) == ("pass", False)
    assert verdict["base"] == pytest.approx(0.01035, rel=1e-4)


def test_a_fifth_slower_fails_with_a_reason(results: str) -> None:
    write(results, [row(0.01)] * 8)
    slow = row(0.012)
    verdict = judged(slow, compare_runs(results, slow, GATE, before=TONIGHT), GATE)
    assert verdict["failed"]
    assert verdict["reason"] == (
        "minimum latency 12.0 ms, 1.20 times that of 8 earlier runs (10.0 ms; limit 1.10 times), measured twice"
    )


@pytest.mark.parametrize("name", SERIES)
def test_rows_with_other_settings_are_not_compared(results: str, name: str) -> None:
    other = 7 if name in {*NUMBERS, "sequence_length"} else "other"
    write(results, [row(0.01, **{name: other})] * 8)
    assert compare_runs(results, row(0.01), GATE, before=TONIGHT) is None


@pytest.mark.parametrize(("rate", "count"), [(1.1e11, 6), (0.9e11, 6), (0.5e11, 0), (2e11, 0), (None, 0)])
def test_runs_at_another_rate_are_on_another_host(results: str, rate: float | None, count: int) -> None:
    write(results, [row(0.01, **{RATE: rate})] * 6)
    assert len(comparable_runs(results, row(0.01), 14, before=TONIGHT)) == count


def test_failed_measurements_and_later_runs_do_not_count(results: str) -> None:
    write(results, [row(0.01), row(None, status="timeout"), row(0.02), row(0.03)])
    assert comparable_runs(results, row(0.01), 14, before="2026-01-04") == [0.02, 0.01]


def test_the_newest_runs_are_compared(results: str) -> None:
    write(results, [row(0.01 * (number + 1)) for number in range(9)])
    assert comparable_runs(results, row(0.01), 3, before=TONIGHT) == pytest.approx([0.09, 0.08, 0.07])


def test_too_few_runs_are_reported_and_fail_nothing(results: str) -> None:
    write(results, [row(0.01)] * 4)
    verdict = judged(row(0.05), compare_runs(results, row(0.05), GATE, before=TONIGHT), GATE)
    assert (verdict["verdict"], verdict["failed"]) == ("undecided", False)
    assert "fewer than 5 earlier runs" in verdict["reason"]


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
    false, caught, histories, runs = 0, 0, 300, 30
    for _ in range(histories):
        series = list(0.1 * np.exp(random.normal(0, spread, runs + 14)))
        again = list(0.1 * np.exp(random.normal(0, spread, runs + 14)))
        false += any(both_suspicious(series[run - 14 : run], series[run], again[run]) for run in range(14, runs + 14))
        caught += both_suspicious(series[:14], 1.2 * series[14], 1.2 * again[14]) or both_suspicious(
            [*series[1:14], 1.2 * series[14]], 1.2 * series[15], 1.2 * again[15]
        )
    assert false / histories <= 0.05
    assert caught / histories >= 0.95


def both_suspicious(window: list[float], current: float, again: float) -> bool:
    found = slowdown(window, min(current, again), margin=0.1, confidence=0.99)
    return bool(found and found.is_suspicious)
