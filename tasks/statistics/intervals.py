"""Confidence intervals from bootstrap resamples, and when there are too few entities for one."""

from typing import NamedTuple

import numpy as np

from tasks.statistics.bootstrap import Floats

METHOD = "bca-t"
MIN_DEFINED = 0.9
TIE = 1e-12


class Interval(NamedTuple):
    """Ends of confidence intervals, one a statistic; NaN where there is none."""

    low: Floats
    """(m,)"""
    high: Floats
    """(m,)"""


def interval(estimate: Floats, resampled: Floats, left_out: Floats, confidence: float = 0.95) -> Interval:
    from scipy.special import stdtrit

    n_units = len(left_out)
    if n_units < 2:
        return Interval(np.full_like(estimate, np.nan), np.full_like(estimate, np.nan))
    quantile = stdtrit(_degrees_of_freedom(left_out), 0.5 + confidence / 2) * np.sqrt(n_units / (n_units - 1))
    return bca(estimate, resampled, left_out, quantile)


def bca(estimate: Floats, resampled: Floats, left_out: Floats, quantile: Floats | float) -> Interval:
    """The textbook's BCa"""
    from scipy.special import ndtr

    ordered = np.sort(resampled.T, axis=1)
    n_defined = np.isfinite(ordered).sum(axis=1)
    bias, acceleration = _bias(estimate, ordered, n_defined), _acceleration(left_out)
    defined = np.isfinite(estimate + left_out.sum(axis=0)) & (n_defined >= MIN_DEFINED * ordered.shape[1])
    ends = []
    for z in (-np.asarray(quantile), np.asarray(quantile)):
        shifted = bias + z
        scale = 1 - acceleration * shifted
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.where(scale > 0, bias + shifted / scale, np.copysign(np.inf, shifted))
        ends.append(np.where(defined, _quantiles(ordered, n_defined, ndtr(moved)), np.nan))
    return Interval(*ends)


def _degrees_of_freedom(left_out: Floats) -> Floats:
    spread = left_out - left_out.mean(axis=0)
    n_units = len(left_out)
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = n_units * (spread**4).sum(axis=0) / (spread**2).sum(axis=0) ** 2
        return np.nan_to_num(np.clip(2 * n_units / (kurtosis - 1), 1, n_units - 1), nan=n_units - 1)


def _bias(estimate, ordered, n_defined):
    from scipy.special import ndtri

    tie = TIE * np.abs(estimate)[:, None]
    below = (ordered < estimate[:, None] - tie).sum(axis=1)
    ties = (ordered <= estimate[:, None] + tie).sum(axis=1) - below
    with np.errstate(divide="ignore", invalid="ignore"):
        return ndtri(np.clip((below + ties / 2) / n_defined, 1 / (n_defined + 1), n_defined / (n_defined + 1)))


def _acceleration(left_out):
    influence = left_out.mean(axis=0) - left_out
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((influence**3).sum(axis=0) / (6 * (influence**2).sum(axis=0) ** 1.5))


def _quantiles(ordered, n_defined, q):
    at = np.nan_to_num(q) * np.maximum(n_defined - 1, 0)
    below = np.floor(at).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(n_defined - 1, 0))
    rows = np.arange(len(ordered))
    return ordered[rows, below] + (at - below) * (ordered[rows, above] - ordered[rows, below])


def too_small(support: int, n_units: int) -> str | None:
    """Why an interval would mean little: fewer than 30 gold entities, or fewer than 15 units that hold some."""
    if support < 30:
        return f"only {support} gold entities, fewer than 30: no interval"
    return f"only {n_units} units with gold entities, fewer than 15: no interval" if n_units < 15 else None
