"""Percentiles need the number of samples of LoadGen's rule; the oracle uses exact fractions."""

from fractions import Fraction

import pytest

from nerbench.tasks.measuring.latency_statistics import fewest_samples, supported


def too_few(n: int, percent: int) -> bool:
    """Whether at most one of n samples above the percentile has a probability of more than 1 %."""
    q = Fraction(percent, 100)
    return q**n + n * (1 - q) * q ** (n - 1) > Fraction(1, 100)


@pytest.mark.parametrize(("percent", "n"), [(50, 1), (90, 64), (99, 662)])
def test_the_numbers_that_mlperf_names(percent: int, n: int) -> None:
    assert fewest_samples(percent) == n


@pytest.mark.parametrize("percent", [75, 90, 95, 99])
def test_the_minimum_number_of_samples_is_minimal(percent: int) -> None:
    n = fewest_samples(percent)
    assert too_few(n - 1, percent)
    assert not too_few(n, percent)


@pytest.mark.parametrize(
    ("n", "percents"),
    [(1, [50]), (63, [50]), (64, [50, 90]), (130, [50, 90, 95]), (661, [50, 90, 95]), (662, [50, 90, 95, 99])],
)
def test_percentiles_that_a_number_of_samples_supports(n: int, percents: list[int]) -> None:
    assert supported(n) == percents
