"""BCa intervals against scipy, the wider quantile, and missing intervals."""

import numpy as np
import pytest
from scipy import stats

from nerbench.tasks.statistics.confidence_intervals import Interval, bca, interval, too_small
from nerbench.tasks.statistics.resampling import left_out, resampled


def ratio(sums: np.ndarray) -> np.ndarray:
    """(..., 2) -> (..., 1)"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (sums[..., 0] / sums[..., 1])[..., None]


def corpus(seed: int, units: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = rng.poisson(rng.gamma(1.0, 10.0, units)) + 1
    return np.column_stack([rng.binomial(n, rng.beta(8, 2, units)), n])


def found(values: np.ndarray, confidence: float = 0.95, n: int = 1000) -> Interval:
    return interval(ratio(values.sum(0)), ratio(resampled(values, seed=0, n=n)), ratio(left_out(values)), confidence)


@pytest.mark.parametrize("seed", range(5))
def test_bca_is_scipys(seed: int) -> None:
    values = corpus(seed)
    ours = bca(
        ratio(values.sum(0)),
        ratio(resampled(values, seed=0, n=20_000)),
        ratio(left_out(values)),
        stats.norm.ppf(0.975),
    )
    theirs = stats.bootstrap(
        (values[:, 0], values[:, 1]),
        lambda tp, n, axis: tp.sum(axis) / n.sum(axis),
        paired=True,
        n_resamples=20_000,
        vectorized=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low[0] == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high[0] == pytest.approx(theirs.high, abs=0.04 * width)


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_wider_than_bca(seed: int) -> None:
    values = corpus(seed)
    wide, narrow = (
        found(values),
        bca(ratio(values.sum(0)), ratio(resampled(values, seed=0)), ratio(left_out(values)), stats.norm.ppf(0.975)),
    )
    assert wide.low[0] < narrow.low[0] < ratio(values.sum(0))[0] < narrow.high[0] < wide.high[0]


def test_even_documents_widen_by_students_t_alone() -> None:
    """With an influence of ±1 the kurtosis is 1, and the degrees of freedom are n − 1."""
    rng = np.random.default_rng(0)
    estimate, drawn = np.zeros(1), rng.standard_normal((200_000, 1))
    influence = np.resize([1.0, -1.0], 20)[:, None]
    low, high = interval(estimate, drawn, influence, 0.9)
    expected = stats.t.ppf(0.95, 19) * np.sqrt(20 / 19)
    assert (low[0], high[0]) == pytest.approx((-expected, expected), abs=0.03)


def test_more_confidence_is_wider_and_more_data_narrower() -> None:
    values = corpus(1)
    (low, high), (lower, higher) = found(values, 0.9), found(values, 0.99)
    assert lower[0] < low[0] < high[0] < higher[0]
    tight = found(np.tile(values, (4, 1)))
    assert tight.high[0] - tight.low[0] < 0.65 * (found(values).high[0] - found(values).low[0])


def test_a_perfect_model_has_a_point() -> None:
    values = np.column_stack([np.full(30, 4), np.full(30, 4)])
    assert (found(values).low[0], found(values).high[0]) == (1.0, 1.0)


def test_undefined_numbers_have_no_interval() -> None:
    nothing = found(np.zeros((30, 2)))
    assert np.isnan([nothing.low[0], nothing.high[0]]).all()
    once = np.zeros((30, 2))
    once[0] = 1  # undefined without this unit, and in a third of the resamples
    assert np.isnan(found(once).low[0])
    assert np.isnan(found(corpus(1)[:1]).low[0])


def test_statistics_do_not_disturb_each_other() -> None:
    one, other = corpus(1), corpus(2)
    both = np.column_stack([one, other])

    def two(sums: np.ndarray) -> np.ndarray:
        return np.concatenate([ratio(sums[..., :2]), ratio(sums[..., 2:])], axis=-1)

    together = interval(two(both.sum(0)), two(resampled(both, seed=0)), two(left_out(both)))
    assert together.low == pytest.approx([found(one).low[0], found(other).low[0]], rel=1e-12)
    assert together.high == pytest.approx([found(one).high[0], found(other).high[0]], rel=1e-12)


def test_the_rule_of_too_small() -> None:
    assert too_small(30, 20) is None
    assert too_small(29, 100) == "no interval: 29 in the gold, fewer than 30"
    assert too_small(1000, 19, unit="sentence") == "no interval: they occur in 19 sentences, fewer than 20"
