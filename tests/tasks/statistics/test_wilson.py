"""Wilson intervals of shares, against the textbook formula, and with few errors, few documents or no variance."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nerbench.tasks.statistics.confidence_intervals import PRIOR, Interval, symmetric, wilson
from nerbench.tasks.statistics.resampling import left_out


def ratio(sums: np.ndarray) -> np.ndarray:
    """(..., 2) -> (..., 1)"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (sums[..., 0] / sums[..., 1])[..., None]


def found(values: np.ndarray, confidence: float = 0.95, find: Callable[..., Interval] = wilson) -> Interval:
    shares = values[:, 1:] / values[:, 1:].sum()
    return find(ratio(values.sum(0)), ratio(left_out(values)), shares, confidence)


def corpus(seed: int, units: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = rng.poisson(rng.gamma(1.0, 10.0, units)) + 1
    return np.column_stack([rng.binomial(n, rng.beta(8, 2, units)), n]).astype(float)


def test_the_definition_written_out() -> None:
    values = corpus(1, 30)
    right, n = values.T
    p, u = right.sum() / n.sum(), 30
    influences = [(right.sum() - r) / (n.sum() - m) - p for r, m in values]
    squares = sum(x**2 for x in influences)
    freedom = 2 / (sum(x**4 for x in influences) / squares**2 - 1 / u)
    weight = PRIOR / (PRIOR + freedom)
    observed, together = (u - 1) / u * squares / (p * (1 - p)), sum((n / n.sum()) ** 2)
    low, high = found(values)
    # An end of a score interval is a share that is z of its own standard errors away from the estimate.
    for end, part in ((low[0], p), (high[0], 1 - p)):
        answers = 1 / ((1 - weight) * observed + weight * part * together)
        assert abs(p - end) == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(end * (1 - end) / answers))
    assert low[0] < p < high[0]


def test_many_single_answers_are_wilsons_textbook_interval() -> None:
    """Without clusters, and with enough units that the prior does not matter."""
    values = np.column_stack([np.arange(100_000) % 10 > 0, np.ones(100_000)]).astype(float)
    p, n, z = 0.9, 100_000, stats.norm.ppf(0.975)
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = found(values)
    assert (low[0], high[0]) == pytest.approx(
        ((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)), abs=1e-5
    )


def test_a_perfect_or_useless_model_has_an_interval_by_its_documents() -> None:
    quantile = stats.norm.ppf(0.975) ** 2
    for right, expected in ((5.0, (40 / (40 + quantile), 1.0)), (0.0, (0.0, quantile / (40 + quantile)))):
        low, high = found(np.column_stack([np.full(40, right), np.full(40, 5.0)]))
        assert (low[0], high[0]) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("estimate", [0.0, 1.0])
def test_an_extreme_estimate_that_one_unit_changes_is_worth_no_answer(estimate: float) -> None:
    """As macro precision, if a type is predicted in one document only, and right there."""
    without = np.full((30, 1), estimate)
    without[0] = 0.75
    low, high = wilson(np.array([estimate]), without, np.full((30, 1), 1 / 30))
    assert (low[0], high[0]) == (0, 1)


def test_errors_in_one_document_widen_more_than_scattered_ones() -> None:
    n = np.full(40, 50.0)
    together, apart = n.copy(), n.copy()
    together[0] -= 20
    apart[:20] -= 1
    (low, high), (lower, higher) = found(np.column_stack([apart, n])), found(np.column_stack([together, n]))
    assert lower[0] < low[0] < high[0] < higher[0]


def test_shares_of_wrong_answers_have_the_mirrored_interval() -> None:
    values = corpus(3)
    wrong = np.column_stack([values[:, 1] - values[:, 0], values[:, 1]])
    (low, high), (lower, higher) = found(values), found(wrong)
    assert (lower[0], higher[0]) == pytest.approx((1 - high[0], 1 - low[0]))


def test_more_confidence_is_wider_and_more_data_narrower() -> None:
    values = corpus(1)
    (low, high), (lower, higher) = found(values, 0.9), found(values, 0.99)
    assert lower[0] < low[0] < high[0] < higher[0]
    tight = found(np.tile(values, (4, 1)))
    assert tight.high[0] - tight.low[0] < 0.65 * (found(values).high[0] - found(values).low[0])


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30).filter(
        lambda units: sum(right + wrong > 0 for right, wrong in units) > 1
    )
)
def test_ends_are_shares_around_the_estimate_whatever_the_order(units: list[tuple[int, int]]) -> None:
    values = np.array([(right, right + wrong) for right, wrong in units], float)
    low, high = found(values)
    assert 0 <= low[0] <= ratio(values.sum(0))[0] <= high[0] <= 1
    assert low[0] < high[0]
    again = found(values[::-1])
    assert (again.low[0], again.high[0]) == pytest.approx((low[0], high[0]))


@pytest.mark.parametrize("find", [wilson, symmetric])
def test_undefined_numbers_have_no_interval(find: Callable[..., Interval]) -> None:
    once = np.zeros((30, 2))
    once[0] = 1  # undefined without this unit
    for values in (once, corpus(1)[:1]):
        low, high = found(values, find=find)
        assert np.isnan([low[0], high[0]]).all()


def test_the_symmetric_interval_is_the_jackknifes() -> None:
    values = corpus(2)
    p, without = ratio(values.sum(0))[0], ratio(left_out(values))[:, 0]
    half = stats.t.ppf(0.975, 59) * np.sqrt(59 / 60 * ((without - p) ** 2).sum())
    low, high = found(values, find=symmetric)
    assert (low[0], high[0]) == pytest.approx((p - half, p + half))
