"""Resampled sums: deterministic, shared by columns, and equal to a textbook bootstrap."""

import numpy as np
import pytest

from nerbench.tasks.statistics import resampling
from nerbench.tasks.statistics.resampling import MAX_UNITS, Units, left_out, resampled, seed_of

VALUES = np.random.default_rng(1).poisson(5.0, size=(40, 6))


def test_columns_share_their_resamples() -> None:
    whole = resampled(VALUES, seed=3)
    assert np.array_equal(whole[:, 2:4], resampled(VALUES[:, 2:4], seed=3))
    assert not np.array_equal(whole, resampled(VALUES, seed=4))


def test_resamples_do_not_depend_on_how_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resampled(VALUES, seed=3, n=50)
    monkeypatch.setattr(resampling, "CHUNK_BYTES", 8 * 40 * 7)
    assert np.array_equal(resampled(VALUES, seed=3, n=50), whole)


def test_a_resample_draws_as_many_units_as_there_are() -> None:
    assert (resampled(np.ones((40, 1)), seed=0) == 40).all()
    assert (resampled(VALUES[:1], seed=0) == VALUES[:1]).all()


def test_mean_and_deviation_are_those_of_the_bootstrap() -> None:
    sums = resampled(VALUES, seed=0, n=20_000)
    n = len(VALUES)
    assert np.allclose(sums.mean(axis=0), VALUES.sum(axis=0), rtol=0.01)
    assert np.allclose(sums.std(axis=0), np.sqrt(n) * VALUES.std(axis=0), rtol=0.05)


def test_one_is_left_out() -> None:
    assert left_out(VALUES).tolist() == [np.delete(VALUES, i, axis=0).sum(axis=0).tolist() for i in range(40)]


def test_zero_units_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="no units"):
        resampled(np.zeros((0, 2)), seed=0)


def test_the_seed_is_that_of_words_and_gold() -> None:
    assert seed_of("a", "b") == seed_of("a", "b")
    assert len({seed_of("a", "b"), seed_of("a", "c"), seed_of("b", "a"), seed_of("ab", "")}) == 4


def test_units() -> None:
    assert Units.of(n_sentences=9, n_documents=3) == ("document", 1, 3, 3)
    assert Units.of(n_sentences=9, n_documents=None) == ("sentence", 1, 9, None)
    assert Units.of(n_sentences=0, n_documents=None).n == 0


@pytest.mark.parametrize("n", [MAX_UNITS - 1, MAX_UNITS, MAX_UNITS + 1, 3 * MAX_UNITS, 1_000_003])
def test_many_documents_are_taken_together(n: int) -> None:
    units = Units.of(n_sentences=n, n_documents=None)
    assert units.n <= MAX_UNITS
    assert (units.n - 1) * units.size < n <= units.n * units.size
