"""Confidence intervals: BCa from bootstrap resamples, and Wilson intervals for shares when errors cluster by document.

`interval` is BCa (bias-corrected and accelerated; Efron 1987, Efron & Tibshirani 1993 §14.3) with one change: instead
of the normal quantile z, it uses t · √(u / (u − 1)) for u units (Hesterberg 2015 expands percentile intervals in this
way). t has as many degrees of freedom as the spread of the units' influences allows, 2u / (kurtosis − 1)
(Satterthwaite), between 1 and u − 1. The interval is wider if few documents have most of the errors. Differences
between two models have these intervals; the shares of one model have those of `wilson`.

Each end of `wilson` is that of Wilson's score interval (1927) for as many independent answers as the documents are
worth. It follows the variance that the end itself implies, and exists even if no error is seen. Nothing is resampled:
the same counts give the same bits.

The effective number of answers n comes from the variance v of the share p: n = p (1 − p) / v. The delete-one jackknife
over the units (documents) gives v for every function of the counts. With few erroneous documents, v is itself uncertain
and mostly too small: the worst documents are rare, so few corpora have one. Therefore, 1 / n is a weighted mean of

- v / (p (1 − p)), with the degrees of freedom k of v (Satterthwaite: 2 / (Σ influence⁴ / (Σ influence²)² − 1 / u)), and
- p Σ s² for the low end, (1 − p) Σ s² for the high end: if each of u units is all right or all wrong and s is its share
  of the entities, the share has the variance p (1 − p) Σ s², of which the part p is below the mean and the part 1 − p
  above it. This term has the weight PRIOR, one degree of freedom.

Thus a share close to 1 may be much lower elsewhere, where a document goes wrong as a whole, but hardly higher.
`docs/explanation/scores.md` has the measured coverage, and `tests/tasks/statistics/test_simulations.py` the simulation.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.resampling import Floats

MIN_SUPPORT = 30
MIN_UNITS = 20
MIN_DEFINED = 0.9
"""Minimum share of the resamples in which a statistic must be defined to have an interval."""
TIE = 1e-12
"""Relative difference below which two values are equal: sums of other shapes are rounded differently."""


class Interval(NamedTuple):
    """Ends of the confidence intervals of m statistics; NaN if there is none."""

    low: Floats
    """(m,)"""
    high: Floats
    """(m,)"""


def interval(estimate: Floats, resampled: Floats, left_out: Floats, confidence: float = 0.95) -> Interval:
    """Confidence intervals of m statistics, as defined in this module's docstring.

    Args:
        estimate: (m,) the statistics on all units; NaN if undefined.
        resampled: (n, m) the statistics on resamples; undefined ones are left out of their interval.
        left_out: (units, m) the statistics on all units but one.
        confidence: Probability to cover the true value.

    Returns:
        Ends within the resampled values. NaN if the estimate is undefined, also without one of the units or in more
        than a tenth of the resamples, and for fewer than two units. If all resamples agree, both ends are the estimate.
    """
    from scipy.special import stdtrit

    units = len(left_out)
    if units < 2:
        return Interval(np.full_like(estimate, np.nan), np.full_like(estimate, np.nan))
    t = stdtrit(_degrees_of_freedom(left_out), 0.5 + confidence / 2)
    return bca(estimate, resampled, left_out, t * np.sqrt(units / (units - 1)))


def bca(estimate: Floats, resampled: Floats, left_out: Floats, quantile: npt.ArrayLike) -> Interval:
    """BCa intervals that extend to `quantile`, a scalar or (m,), on both sides; the normal quantile gives the
    textbook's.

    The other arguments and the conditions for NaN are those of `interval`.
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
        # From scale 0 on, the formula reverses; its limit is the last resample.
        moved = np.where(scale > 0, bias + shift / np.where(scale > 0, scale, 1), np.copysign(np.inf, shift))
        ends.append(np.where(defined, _quantile(ordered, n_defined, ndtr(moved)), np.nan))
    return Interval(*ends)


def too_small(support: int, units: int, *, unit: str = "document") -> str | None:
    """Why there is no interval, or None if there is one.

    A number needs 30 entities (`support`) and 20 units that contain one.
    """
    if support < MIN_SUPPORT:
        return f"no interval: {support} in the gold, fewer than {MIN_SUPPORT}"
    if units < MIN_UNITS:
        return f"no interval: they occur in {units} {unit}s, fewer than {MIN_UNITS}"
    return None


def _degrees_of_freedom(left_out: Floats) -> Floats:
    """(m,) degrees of freedom of the t quantile."""
    units = len(left_out)
    squares = (left_out - left_out.mean(axis=0)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = units * (squares**2).sum(axis=0) / squares.sum(axis=0) ** 2
        freedom: Floats = np.clip(2 * units / (kurtosis - 1), 1, units - 1)
    return np.where(np.isnan(freedom), units - 1, freedom)


def _bias(estimate: Floats, ordered: Floats, n_defined: npt.NDArray[np.intp]) -> Floats:
    """(m,) normal quantile of the share of resamples below the estimate; equal ones count half."""
    from scipy.special import ndtri

    tie = TIE * np.abs(estimate)
    below = (ordered < (estimate - tie)[:, None]).sum(axis=1)
    below_or_equal = (ordered <= (estimate + tie)[:, None]).sum(axis=1)
    n = np.maximum(n_defined, 1)
    share = (below + below_or_equal) / (2 * n)
    quantile: Floats = ndtri(np.clip(share, 1 / (n + 1), n / (n + 1)))
    return quantile


def _acceleration(left_out: Floats) -> Floats:
    """(m,) from the skewness of the units' influences; 0 if there is none."""
    influence = left_out.mean(axis=0) - left_out
    with np.errstate(divide="ignore", invalid="ignore"):
        acceleration: Floats = (influence**3).sum(axis=0) / (6 * (influence**2).sum(axis=0) ** 1.5)
    return np.nan_to_num(acceleration)


def _quantile(ordered: Floats, n_defined: npt.NDArray[np.intp], q: Floats) -> Floats:
    """(m,) quantiles q of the first n_defined values of each row, interpolated linearly."""
    last = np.maximum(n_defined - 1, 0)
    at = np.nan_to_num(q) * last
    below = np.floor(at).astype(np.intp)
    rows = np.arange(len(ordered))
    low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
    value: Floats = low + (at - below) * (high - low)
    return value


PRIOR = 1.0
"""Degrees of freedom of the prior, under which all entities of a unit are right or wrong together."""
NO_INFLUENCE = 1e-12
"""Differences up to this size are rounding errors."""


def wilson(estimate: Floats, left_out: Floats, shares: Floats, confidence: float = 0.95) -> Interval:
    """Confidence intervals of m shares, as defined in this module's docstring.

    Args:
        estimate: (m,) in 0…1, on all units; NaN if undefined.
        left_out: (units, m) the shares on all units but one.
        shares: (units, m) share of the entities in each unit; each column sums to 1.
        confidence: Probability to cover the true value.

    Returns:
        Ends within 0…1 that enclose the estimate; 0 and 1 if the estimate is 0 or 1, and differs without one of the
        units (a macro average can), because n is 0 then. NaN if it is undefined, also without one of the units, or if
        fewer than two units have an entity.
    """
    p = np.clip(estimate, 0, 1)
    variance, freedom = _jackknife(estimate, left_out, shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(variance == 0, 1, PRIOR / (PRIOR + freedom))
        observed = np.where(variance == 0, 0, (1 - weight) * variance / (p * (1 - p)))
    together = weight * _sums(shares**2)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = _end(p, observed + p * together, -z), _end(p, observed + (1 - p) * together, z)
    return Interval(np.clip(low, 0, p), np.clip(high, p, 1))


def symmetric(estimate: Floats, left_out: Floats, shares: Floats, confidence: float = 0.95) -> Interval:
    """The estimate ± t standard errors of the jackknife, for numbers that may be outside 0…1. Arguments as in
    `wilson`."""
    from scipy.special import stdtrit

    variance, _ = _jackknife(estimate, left_out, shares)
    freedom = np.maximum(np.count_nonzero(shares, axis=0) - 1, 1)
    half = stdtrit(freedom, 0.5 + confidence / 2) * np.sqrt(variance)
    return Interval(estimate - half, estimate + half)


def _end(p: Floats, per_answer: Floats, z: float) -> Floats:
    """(m,) the shares from which p is z of their own standard errors away, below (z < 0) or above, for 1 / per_answer
    answers; 0 or 1 for no answer."""
    z2 = z * z * per_answer
    with np.errstate(invalid="ignore"):
        end = (p + z2 / 2 + np.copysign(np.sqrt(z2 * p * (1 - p) + z2 * z2 / 4), z)) / (1 + z2)
    return np.where(np.isinf(per_answer), float(z > 0), end)


def _jackknife(estimate: Floats, left_out: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(m,) variance of each estimate, and (m,) degrees of freedom of that variance; NaN if undefined."""
    units = np.count_nonzero(shares, axis=0)
    influence = left_out - estimate
    squares = np.where(np.abs(influence) <= NO_INFLUENCE, 0, influence**2)
    total = _sums(squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 2 / (_sums(squares**2) / total**2 - 1 / units)
        variance: Floats = np.where(units > 1, (units - 1) / units * total, np.nan)
        return variance, np.clip(freedom, 1, np.maximum(units - 1, 1))


def _sums(values: Floats) -> Floats:
    """(m,) sums over the units, always added in the same order, so that they have the same bits for every m."""
    sums: Floats = np.ascontiguousarray(values.T).sum(axis=1)
    return sums
