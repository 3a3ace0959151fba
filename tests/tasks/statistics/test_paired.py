"""Paired tests against brute force, scipy and the textbook."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nerbench.tasks.statistics import resampling
from nerbench.tasks.statistics.paired_tests import detectable, holm, p_value, paired_bootstrap, permuted
from nerbench.tasks.statistics.resampling import resampled

BASE, CANDIDATE = np.random.default_rng(1).poisson([[9.0, 3.0]], size=(2, 30, 2))


def test_both_models_share_their_resamples() -> None:
    before, after = paired_bootstrap(BASE, CANDIDATE, seed=5)
    assert np.array_equal(before, resampled(BASE, seed=5))
    assert np.array_equal(after, resampled(CANDIDATE, seed=5))


@pytest.mark.parametrize("compared", [paired_bootstrap, permuted])
def test_other_units_cannot_be_paired(compared: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"\(30, 2\) and \(29, 2\)"):
        compared(BASE, CANDIDATE[1:], seed=0)


def test_identical_models_never_differ() -> None:
    before, after = permuted(BASE, BASE, seed=0, n=99)
    assert p_value(np.zeros(2), after - before).tolist() == [1.0, 1.0]


def test_units_are_swapped_whole() -> None:
    before, after = permuted(BASE, CANDIDATE, seed=0, n=500)
    assert np.array_equal(before + after, np.tile((BASE + CANDIDATE).sum(0), (500, 1)))
    few_before, few_after = BASE[:3], CANDIDATE[:3]
    possible = {
        tuple(np.where(np.array(swap)[:, None], few_after, few_before).sum(0)) for swap in product([0, 1], repeat=3)
    }
    assert {tuple(row) for row in permuted(few_before, few_after, seed=0, n=500).base.astype(int)} == possible


def test_columns_share_their_permutations_however_these_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = permuted(BASE, CANDIDATE, seed=0, n=100)
    monkeypatch.setattr(resampling, "CHUNK_BYTES", 8 * 30 * 7)
    part = permuted(BASE[:, 1:], CANDIDATE[:, 1:], seed=0, n=100)
    assert np.array_equal(whole.base[:, 1:], part.base)


def test_the_p_value_is_that_of_all_permutations() -> None:
    base, candidate = BASE[:10, :1], CANDIDATE[:10, :1] + 1
    difference = (candidate - base).ravel()
    every = np.array([np.dot(signs, difference) for signs in product([1, -1], repeat=10)])
    exact = np.mean(np.abs(every) >= abs(difference.sum()))
    before, after = permuted(base, candidate, seed=0, n=50_000)
    ours = p_value((candidate - base).sum(0), after - before)
    assert ours[0] == pytest.approx(exact, abs=0.01)


def test_the_p_value_counts_the_observed_one() -> None:
    observed = np.array([3.0, 0.0, np.nan, 0.1 + 0.2])
    permutations = np.array([[1.0, 1, 1, 0.3], [2, 2, 2, -0.3], [-3, 3, 3, 0.1]])
    found = p_value(observed, permutations)
    assert found[:2].tolist() == [0.5, 1.0]
    assert np.isnan(found[2])
    assert found[3] == 0.75  # 0.3 is a tie of 0.30000000000000004


def test_an_undefined_permutation_counts_against() -> None:
    assert p_value(np.array([3.0]), np.array([[np.nan], [1.0], [1.0]])).tolist() == [0.5]


def test_holm_of_the_textbook() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, np.nan, 0.9]))[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(holm(np.array([0.6, np.nan, 0.9]))[1])


@given(arrays(np.float64, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_agrees_with_the_step_down_procedure(p: np.ndarray) -> None:
    """Step down: the smallest against α/m, the next against α/(m − 1), …, until one is not rejected."""
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for step, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] * (len(p) - step) > alpha:
                break
            rejected.add(int(i))
        assert {int(i) for i in np.flatnonzero(adjusted <= alpha)} == rejected


def test_the_detectable_difference_has_its_power() -> None:
    """80 % of normal differences with this standard error are significant at 5 %."""
    rng = np.random.default_rng(0)
    least = detectable(rng.normal(0, 0.3, size=(100_000, 1)))[0]
    assert np.mean(np.abs(rng.normal(least, 0.3, 100_000)) > stats.norm.ppf(0.975) * 0.3) == pytest.approx(
        0.8, abs=0.01
    )
    drawn = resampled(CANDIDATE - BASE, seed=0)
    assert detectable(drawn, 0.99)[0] > detectable(drawn)[0] > 0
