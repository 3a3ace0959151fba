"""Two models on the same units: is the difference more than chance?

Whole units are resampled or swapped, never single entities: errors within a document hang together.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.bootstrap import Floats, chunks, resampled

TIE = 1e-9
"""Relative difference below which a permuted statistic is as extreme as the observed one: both are rounded."""


class PairedSums(NamedTuple):
    """Sums over the same resamples, or after the same swaps, of both models' units."""

    base: Floats
    """(n, k)"""
    candidate: Floats
    """(n, k)"""


def paired_bootstrap(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 1000) -> PairedSums:
    """Sums of both models, (units, k) each, over the same resamples: those of `bootstrap.resampled`.

    Raises:
        ValueError: no units, or other units or columns in the two.
    """
    both = np.concatenate(_same_shape(base, candidate), axis=1)
    return PairedSums(*np.hsplit(resampled(both, seed=seed, n=n), 2))


def permuted(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 10_000) -> PairedSums:
    """Sums of both models, (units, k) each, after swapping them in every unit with a chance of one half, n times.

    If both models are equally good, and in the same way, no swap makes any difference to how likely the counts are.

    Raises:
        ValueError: other units or columns in the two.
    """
    first, second = _same_shape(base, candidate)
    difference = second - first
    generator = np.random.default_rng(seed)
    moved = np.empty((n, first.shape[1]))
    for rows in chunks(n, max(1, len(first))):
        swapped = generator.integers(0, 2, size=(rows.stop - rows.start, len(first)))
        np.matmul(swapped.astype(np.float64), difference, out=moved[rows])
    return PairedSums(first.sum(axis=0) + moved, second.sum(axis=0) - moved)


def permutations(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 10_000) -> PairedSums:
    """Sums of both models after swapping them: for `p_value`, which then is exact where there are few units.

    Swapping a unit in which both have the same counts changes nothing, so only the others are swapped: in every way but
    the observed one where there are at most n, else in n random ways.

    Raises:
        ValueError: other units or columns in the two.
    """
    first, second = _same_shape(base, candidate)
    differs = (first != second).any(axis=1)
    same = first[~differs].sum(axis=0)
    first, second = first[differs], second[differs]
    n_units = len(first)
    if 2**n_units > n:
        return PairedSums(*(same + sums for sums in permuted(first, second, seed=seed, n=n)))
    swapped = (np.arange(1, 2**n_units)[:, None] >> np.arange(n_units)) & 1
    moved = swapped @ (second - first)
    return PairedSums(same + first.sum(axis=0) + moved, same + second.sum(axis=0) - moved)


def p_value(observed: Floats, permuted: Floats) -> Floats:
    """Two-sided p-values of m differences: (b + 1) / (n + 1), where b of n permuted ones are at least as large.

    Large means far from 0. An undefined permuted difference counts as large (that makes p larger); p is NaN where the
    observed one is undefined. Never 0 (Phipson & Smyth 2010).

    Args:
        observed: (m,)
        permuted: (n, m)
    """
    smaller = (np.abs(permuted) < np.abs(observed) * (1 - TIE)).sum(axis=0)
    n = len(permuted)
    return np.where(np.isnan(observed), np.nan, (n - smaller + 1) / (n + 1))


def holm(p: npt.ArrayLike) -> Floats:
    """Adjusted p-values (m,) of one family of tests (Holm 1979); NaN stays NaN and does not count.

    Rejecting what is at most α makes one false alarm or more in the family with a probability of at most α.
    """
    values = np.asarray(p, np.float64)
    adjusted = np.full_like(values, np.nan)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def detectable(resampled_deltas: Floats, confidence: float = 0.95, power: float = 0.8) -> Floats:
    """The smallest true differences (m,) that a comparison of this pair on this corpus would find with this power.

    (z₁₋α⸝₂ + z_power) standard errors, those of the differences over n resamples, (n, m); NaN where one is undefined.
    """
    normal = NormalDist()
    quantiles = normal.inv_cdf(0.5 + confidence / 2) + normal.inv_cdf(power)
    errors: Floats = resampled_deltas.std(axis=0, ddof=1)
    return quantiles * errors


def _same_shape(base: npt.ArrayLike, candidate: npt.ArrayLike) -> tuple[Floats, Floats]:
    first, second = np.asarray(base, np.float64), np.asarray(candidate, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"counts of {first.shape} and {second.shape} units and columns cannot be paired")
    return first, second
