"""Confidence intervals from bootstrap resamples, and when there is too little to show any.

The interval is BCa (bias-corrected and accelerated; Efron 1987, Efron & Tibshirani 1993 §14.3), with one change: where
the textbook has the normal quantile z, this has t · √(u / (u − 1)) for u units (Hesterberg 2015 expands percentile
intervals so), and t has as many degrees of freedom as the spread of the units' influences allows,
2u / (kurtosis − 1) (Satterthwaite), between 1 and u − 1. Few documents with most of the errors make it wider.

Differences of two models have these intervals; the shares of one model have those of `tasks/statistics/wilson.py`.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.bootstrap import Floats

MIN_SUPPORT = 30
MIN_UNITS = 20
MIN_DEFINED = 0.9
"""Share of the resamples in which a statistic must be defined to have an interval."""
TIE = 1e-12
"""Relative difference below which two values are the same: sums of other shapes round otherwise."""


class Interval(NamedTuple):
    """Ends of the confidence intervals of m statistics; NaN where there is none."""

    low: Floats
    """(m,)"""
    high: Floats
    """(m,)"""


def interval(estimate: Floats, resampled: Floats, left_out: Floats, confidence: float = 0.95) -> Interval:
    """Confidence intervals of m statistics, as this module's docstring defines them.

    Args:
        estimate: (m,) the statistics on all units; NaN where undefined.
        resampled: (n, m) the same on resamples; those where a statistic is undefined are left out of its interval.
        left_out: (units, m) the same on all units but one.
        confidence: probability to cover the true value.

    Returns:
        NaN where the estimate is undefined, or is without one of the units or in more than a tenth of the resamples,
        and for fewer than two units; the estimate itself twice where no resample differs. Ends lie within the
        resampled values.
    """
    from scipy.special import stdtrit

    units = len(left_out)
    if units < 2:
        return Interval(np.full_like(estimate, np.nan), np.full_like(estimate, np.nan))
    t = stdtrit(_degrees_of_freedom(left_out), 0.5 + confidence / 2)
    return bca(estimate, resampled, left_out, t * np.sqrt(units / (units - 1)))


def bca(estimate: Floats, resampled: Floats, left_out: Floats, quantile: npt.ArrayLike) -> Interval:
    """BCa intervals that reach `quantile`, a scalar or (m,), to both sides: the textbook's for that of the normal.

    Other arguments, and where there is none, as of `interval`.
    """
    from scipy.special import ndtr

    ordered = np.sort(resampled.T, axis=1)
    n_defined = np.count_nonzero(~np.isnan(ordered), axis=1)
    defined = ~np.isnan(estimate + left_out.sum(axis=0)) & (n_defined >= MIN_DEFINED * len(resampled))
    bias, acceleration = _bias(estimate, ordered, n_defined), _acceleration(left_out)
    ends = []
    for z in (-np.asarray(quantile), np.asarray(quantile)):
        shift = bias + z
        scale = 1 - acceleration * shift
        # From scale 0 on the formula turns round; its limit is the last resample.
        moved = np.where(scale > 0, bias + shift / np.where(scale > 0, scale, 1), np.copysign(np.inf, shift))
        ends.append(np.where(defined, _quantile(ordered, n_defined, ndtr(moved)), np.nan))
    return Interval(*ends)


def too_small(support: int, units: int, *, unit: str = "document") -> str | None:
    """Why no interval is shown, or None if one is.

    There is none for fewer than 30 entities (`support`), or for fewer than 20 units that hold one.
    """
    if support < MIN_SUPPORT:
        return f"no interval: {support} in the gold, fewer than {MIN_SUPPORT}"
    if units < MIN_UNITS:
        return f"no interval: they stand in {units} {unit}s, fewer than {MIN_UNITS}"
    return None


def _degrees_of_freedom(left_out: Floats) -> Floats:
    """(m,) of the t quantile."""
    units = len(left_out)
    squares = (left_out - left_out.mean(axis=0)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = units * (squares**2).sum(axis=0) / squares.sum(axis=0) ** 2
        freedom: Floats = np.clip(2 * units / (kurtosis - 1), 1, units - 1)
    return np.where(np.isnan(freedom), units - 1, freedom)


def _bias(estimate: Floats, ordered: Floats, n_defined: npt.NDArray[np.intp]) -> Floats:
    """(m,) normal quantile of the share of resamples below the estimate, equal ones counting half."""
    from scipy.special import ndtri

    tie = TIE * np.abs(estimate)
    below = (ordered < (estimate - tie)[:, None]).sum(axis=1)
    below_or_equal = (ordered <= (estimate + tie)[:, None]).sum(axis=1)
    n = np.maximum(n_defined, 1)
    share = (below + below_or_equal) / (2 * n)
    quantile: Floats = ndtri(np.clip(share, 1 / (n + 1), n / (n + 1)))
    return quantile


def _acceleration(left_out: Floats) -> Floats:
    """(m,) from the skewness of the units' influences; 0 where there is none."""
    influence = left_out.mean(axis=0) - left_out
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration: Floats = (influence**3).sum(axis=0) / (6 * (influence**2).sum(axis=0) ** 1.5)
    return np.nan_to_num(acceleration)


def _quantile(ordered: Floats, n_defined: npt.NDArray[np.intp], q: Floats) -> Floats:
    """(m,) quantiles q of the first n_defined values of each row, between two of them linearly."""
    last = np.maximum(n_defined - 1, 0)
    at = np.nan_to_num(q) * last
    below = np.floor(at).astype(np.intp)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    value: Floats = low + (at - below) * (high - low)
    return value
