"""Differences of clustered units, by formulas and by brute force."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from nerbench.tasks.statistics.confidence_intervals import Interval
from nerbench.tasks.statistics.paired_tests import (
    Clusters,
    clustered_p,
    consistent,
    design_effect,
    p_value,
    permutations,
    stretched,
)


@pytest.mark.parametrize(
    ("sizes", "correlation", "expected"),
    [
        ([1, 1, 1], 0.3, 1 / 0.7),
        ([10], 0.3, (1 + 9 * 0.3) / 0.7),
        ([10, 0, 10], 0.3, (1 + 9 * 0.3) / 0.7),
        ([1, 9], 0.5, (1 + 7.2 * 0.5) / 0.5),
        ([5, 5], 0.0, 1.0),
        ([0, 0], 0.3, 1.0),
        ([], 0.3, 1.0),
    ],
)
def test_the_design_effect_is_that_of_the_formula(sizes: list[int], correlation: float, expected: float) -> None:
    assert design_effect(sizes, correlation) == pytest.approx(expected)


def test_an_interval_is_stretched_within_the_possible_range() -> None:
    found = stretched(
        Interval(np.array([-0.2, -1.0]), np.array([0.1, -0.9])), np.array([-0.1, -0.95]), np.array([4, 9])
    )
    assert found.low == pytest.approx([-0.3, -1.0])
    assert found.high == pytest.approx([0.3, -0.8])


def test_an_interval_holds_0_where_the_test_does_not_exclude_it() -> None:
    low, high = np.array([-0.3, -0.3, 0.1, 0.1]), np.array([-0.1, -0.1, 0.3, 0.3])
    point, p = np.array([-0.2, -0.2, 0.2, 0.35]), np.array([0.04, 0.06, 0.06, 0.04])
    found = consistent(Interval(low, high), point, p, 0.95)
    assert found.low.tolist() == [-0.3, -0.3, 0.0, 0.1]
    assert found.high.tolist() == [-0.1, 0.0, 0.3, 0.35]


def test_the_clustered_p_is_that_of_a_normal_test() -> None:
    """For a mean, whose jackknife error has a textbook formula."""
    values = np.random.default_rng(0).normal(-0.3, 1, (40, 1))
    without = (values.sum(0) - values) / 39
    point = values.mean(0)
    error = 3 * (values.var(ddof=1) / 40 + (2 * point[0] / 40) ** 2)
    found = clustered_p(point, without, Clusters(np.array([3.0]), [40]))
    assert found == pytest.approx(2 * stats.norm.sf(abs(point[0]) / math.sqrt(error)))


def test_sentences_that_all_agree_are_not_certain() -> None:
    agreed = np.full((5, 1), -1.0)
    assert clustered_p(np.array([-1.0]), agreed, Clusters(np.array([1.0]), [5])) == pytest.approx(
        2 * stats.norm.sf(2.5)
    )
    undefined = np.array([[np.nan], [-1.0]])
    assert clustered_p(np.array([-1.0]), undefined, Clusters(np.array([1.0]), [2])).tolist() == [1.0]


def test_few_units_are_swapped_in_every_way() -> None:
    """Units in which both models agree do not count."""
    rng = np.random.default_rng(0)
    differing = rng.integers(0, 9, (6, 1)), rng.integers(10, 19, (6, 1))
    same = rng.integers(0, 9, (50, 1))
    base, candidate = (np.concatenate([one, same]) for one in differing)
    before, after = permutations(base, candidate, seed=0, n=64)
    assert len(before) == 63
    difference = (differing[1] - differing[0]).ravel()
    every = [abs(np.dot(signs, difference)) for signs in product([1, -1], repeat=6)]
    observed = (candidate - base).sum(0)
    exact = np.mean(np.array(every) >= abs(observed[0]))
    assert p_value(observed.astype(float), after - before) == pytest.approx(exact)
    assert np.array_equal(before + after, np.broadcast_to((base + candidate).sum(0), before.shape))
    assert len(permutations(base, candidate, seed=0, n=63).base) == 63
    assert p_value(np.zeros(1), permutations(base, base, seed=0).base).tolist() == [1.0]
