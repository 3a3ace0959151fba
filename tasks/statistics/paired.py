"""Two models on the same units: what their difference would be by chance, and what difference could be seen."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.statistics.bootstrap import Floats, chunks

TIE = 1e-9
"""Differences closer than this, relative to the observed one, are the same difference."""


class Permuted(NamedTuple):
    """Sums of both models after units were swapped between them, one row a permutation."""

    base: Floats
    """(n, k)"""
    candidate: Floats
    """(n, k)"""


def permuted(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 10_000) -> Permuted:
    """Swap each unit of two models with probability one half: (units, k) each -> (n, k) each.

    Which units depends on the seed and the number of units alone.
    """
    before, after = np.asarray(base, np.float64), np.asarray(candidate, np.float64)
    generator = np.random.default_rng(seed)
    moved = np.empty((n, before.shape[1]))
    for rows in chunks(n, len(before)):
        swaps = generator.integers(0, 2, size=(rows.stop - rows.start, len(before)), dtype=np.int8)
        np.matmul(swaps.astype(np.float64), after - before, out=moved[rows])
    return Permuted(before.sum(axis=0) + moved, after.sum(axis=0) - moved)


def p_values(observed: Floats, permutations: Floats) -> Floats:
    """Two-sided p = (b + 1) / (m + 1), b of m permutations being as far from 0 as the observed difference.

    (m,) statistics and (n, m) -> (m,). A permutation in which the statistic is undefined counts as that far; NaN where
    the observed one is undefined.
    """
    far = np.abs(observed) * (1 - TIE) - TIE * TIE
    b = np.count_nonzero(~(np.abs(permutations) < far), axis=0)
    return np.where(np.isnan(observed), np.nan, (b + 1) / (len(permutations) + 1))


def holm(p: Floats) -> Floats:
    """P-values of one family, adjusted by Holm's (1979) step-down method; NaN ones are no part of it."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def detectable(deltas: Floats, confidence: float = 0.95, power: float = 0.8) -> Floats:
    """The smallest true difference that these two models on these words show with this power: (n, m) -> (m,).

    (z of the confidence + z of the power) × standard error, the deviation of the resampled differences.
    """
    from scipy.special import ndtri

    return (ndtri(0.5 + confidence / 2) + ndtri(power)) * np.nanstd(deltas, axis=0, ddof=1)
