"""Statistics of samples, against NumPy, all enumerated resamples, and simulations."""

import itertools
from collections import Counter

import numpy as np
import pytest

from nerbench.tasks.measuring.latency_statistics import Amount, hierarchical, statistics, stretched, summarise

SAMPLES = [[0.1, 0.3, 0.2], [0.5, 0.4], [0.35]]


def mean(rows: np.ndarray) -> np.ndarray:
    return statistics(rows, [])


def every_resample(samples: list[list[float]]) -> Counter[float]:
    """The probability of each mean of a two-stage resample, by enumeration."""
    found: Counter[float] = Counter()
    for chosen in itertools.product(samples, repeat=len(samples)):
        drawn = [list(itertools.product(process, repeat=len(process))) for process in chosen]
        ways = np.prod([len(one) for one in drawn])
        for picks in itertools.product(*drawn):
            values = [value for pick in picks for value in pick]
            found[round(sum(values) / len(values), 9)] += 1 / ways / len(samples) ** len(samples)
    return found


def test_statistics_are_numpys() -> None:
    generator = np.random.default_rng(0)
    rows = [np.sort(generator.random(n)) for n in (1, 2, 7, 10)]
    padded = np.full((4, 10), np.nan)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    expected = [[row.mean(), *np.percentile(row, [50, 90, 99])] for row in rows]
    assert statistics(padded, [50, 90, 99]) == pytest.approx(np.array(expected))


def test_resamples_agree_with_the_enumeration_of_all() -> None:
    truth = every_resample(SAMPLES)
    n = 40_000
    drawn = Counter(np.round(hierarchical(SAMPLES, mean, n=n)[:, 0], 9).tolist())
    assert set(drawn) <= set(truth)
    assert sum(truth.values()) == pytest.approx(1)
    shares = {value: drawn[value] / n for value in truth}
    for value, probability in truth.items():
        assert abs(shares[value] - probability) < 5 * np.sqrt(probability / n) + 1e-4


def test_resamples_are_the_same_every_time_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    first = hierarchical(SAMPLES, mean, n=50)
    assert np.array_equal(first, hierarchical(SAMPLES, mean, n=50))
    monkeypatch.setattr("nerbench.tasks.statistics.resampling.CHUNK_BYTES", 8 * 9 * 7)
    assert len(hierarchical(SAMPLES, mean, n=50)) == 50


def test_a_summary_of_known_samples() -> None:
    amounts = [[Amount(2, 5, 8)] * 3, [Amount(2, 5, 8)] * 2, [Amount(2, 5, 8)]]
    row = summarise(SAMPLES, amounts)
    flat = [value for one in SAMPLES for value in one]
    assert row["samples_s"] == flat
    assert row["samples_process"] == [0, 0, 0, 1, 1, 2]
    expected = {"n": 6, "mean_s": np.mean(flat), "std_s": np.std(flat, ddof=1), "p50_s": np.median(flat)}
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["p90_s"] is row["p95_s"] is row["p99_s"] is None
    assert [row["sentences_per_s"], row["words_per_s"], row["tokens_per_s"]] == pytest.approx(
        [6 * amount / sum(flat) for amount in (2, 5, 8)]
    )
    assert row["ci_low_s"] < row["mean_s"] < row["ci_high_s"]
    assert row["p50_low_s"] < row["p50_s"] < row["p50_high_s"]
    assert "p90_low_s" not in row


def test_one_process_has_no_interval_and_a_shape_no_words() -> None:
    row = summarise([[0.1, 0.2]], [[Amount(8, None, 64)] * 2])
    assert not [name for name in row if name.endswith(("low_s", "high_s"))]
    assert row["words_per_s"] is None
    assert row["tokens_per_s"] == pytest.approx(128 / 0.3)
    assert summarise([[0.1]], [[Amount(1, 1, 1)]])["std_s"] is None


def test_many_samples_have_all_percentiles() -> None:
    generator = np.random.default_rng(0)
    samples = [(0.01 + 0.001 * generator.random(400)).tolist() for _ in range(2)]
    row = summarise(samples, [[Amount(1, 3, 4)] * 400] * 2)
    flat = np.concatenate(samples)
    for percent in (50, 90, 95, 99):
        assert row[f"p{percent}_s"] == pytest.approx(np.percentile(flat, percent))
        assert row[f"p{percent}_low_s"] <= row[f"p{percent}_s"] <= row[f"p{percent}_high_s"]


def test_no_samples_are_a_bug() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summarise([[]], [[]])


def test_intervals_are_stretched_on_the_scale_of_ratios() -> None:
    low, high = stretched(np.array([2.0]), np.array([[1.0], [2.0], [4.0]]), 3)
    factor = 4.302653 / 1.959964 * np.sqrt(3 / 2)
    q_low, q_high = np.quantile([1, 2, 4], [0.025, 0.975])
    assert low == pytest.approx(2 * (q_low / 2) ** factor, rel=1e-5)
    assert high == pytest.approx(2 * (q_high / 2) ** factor, rel=1e-5)
    low, high = stretched(np.array([2.0]), np.full((9, 1), 2.0), 3)
    assert (low, high) == (2.0, 2.0)


def covered(processes: int, between: float, within: float, runs: int) -> tuple[float, float]:
    """Shares of intervals, stretched and plain, that contain the true mean of 1 s."""
    generator = np.random.default_rng(7)
    hits, plain = 0, 0
    for _ in range(runs):
        levels = 1 + between * generator.standard_normal(processes)
        samples = [(level + within * generator.standard_normal(20)).tolist() for level in levels]
        resampled = hierarchical(samples, mean, n=300)
        low, high = stretched(np.array([np.mean(samples)]), resampled, processes)
        hits += bool(low[0] <= 1 <= high[0])
        q_low, q_high = np.quantile(resampled, [0.025, 0.975])
        plain += bool(q_low <= 1 <= q_high)
    return hits / runs, plain / runs


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "between"), [(3, 0.05), (3, 0.01), (5, 0.05)])
def test_intervals_cover_the_truth(processes: int, between: float) -> None:
    stretched_share, plain_share = covered(processes, between, 0.03, 1500)
    print(f"{processes} processes, between {between}: {stretched_share:.3f}, plain {plain_share:.3f}")
    assert stretched_share >= 0.935
