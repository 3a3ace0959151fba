"""How sure a difference of two models is: its interval and its p-value, which never contradict each other.

Resampled and swapped are documents where 20 of them hold entities; the interval is that of the paired bootstrap
(`nerbench.tasks.statistics.intervals`), the p-value that of the permutation test (`nerbench.tasks.statistics.paired`).

Fewer documents say little about how documents differ, so sentences are resampled instead, and how strongly those of a
document hang together is assumed, not estimated: as strongly as correlation CORRELATION between two entities of one
document makes them. The variance of a sum over documents of N₁, N₂, … entities is then that of independent sentences
times the design effect (Kish 1965, § 5.4 and 8.2)

    deff = (1 + (m − 1) ρ) / (1 − ρ),    m = Σ N² / Σ N,

where the denominator makes up for what resampling sentences within few documents does not see. It stretches the
interval by √deff. The p-value is the larger one of the permutation test of sentences and a normal test with the
variance deff · (s² + (2 δ / n)²): s is the jackknife's standard error, and the second term what one sentence more
that says the opposite would change, so that a few sentences that all agree are not taken for certainty.

Where p > 1 − confidence, the interval is extended to 0.
"""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.bootstrap import Floats, left_out
from nerbench.tasks.statistics.intervals import MIN_SUPPORT, MIN_UNITS, Interval, interval
from nerbench.tasks.statistics.paired import detectable, p_value, paired_bootstrap, permutations

CORRELATION = 0.4
"""Assumed between two entities of one document. At most 0.3 was measured (MiniLM's labels on CoNLLpp; 0.12 overall).
With 0.4, one or two documents, whose effects are far from normal, raise few false alarms too."""


class Resampling(NamedTuple):
    """How differences are tested."""

    seed: int
    resamples: int
    permutations: int
    confidence: float


class Clusters(NamedTuple):
    """What resampled sentences hang together by."""

    effect: Floats
    """(m,) design effects."""
    units: npt.ArrayLike
    """(m,) sentences that hold entities."""


class Assessed(NamedTuple):
    """What is known of m differences, (m,) each."""

    delta: Floats
    low: Floats
    high: Floats
    p: Floats
    detectable: Floats


def assess(
    base: Floats,
    candidate: Floats,
    delta: Callable[[Iterable[Floats]], Floats],
    how: Resampling,
    clusters: Clusters | None = None,
) -> Assessed:
    """Test m differences, as this module's docstring says.

    Args:
        base, candidate: (units, k) counts of both models.
        delta: differences (…, m) from sums (…, k) of both.
        clusters: given where the units are sentences of documents.
    """
    point = delta((base.sum(0), candidate.sum(0)))
    drawn = delta(paired_bootstrap(base, candidate, seed=how.seed, n=how.resamples))
    without = delta((left_out(base), left_out(candidate)))
    found = interval(point, drawn, without, how.confidence)
    p = p_value(point, delta(permutations(base, candidate, seed=how.seed, n=how.permutations)))
    detected = detectable(drawn, how.confidence)
    if clusters:
        found = stretched(found, point, clusters.effect)
        p = np.maximum(p, clustered_p(point, without, clusters))
        detected = detected * np.sqrt(clusters.effect)
    low, high = consistent(found, point, p, how.confidence)
    return Assessed(point, low, high, p, detected)


def too_little(support: int, units: int, unit: str) -> str | None:
    """Why a difference has no interval: fewer than 30 entities, or fewer than 20 units that hold one."""
    if support < MIN_SUPPORT:
        return f"no interval: {support} in the gold, fewer than {MIN_SUPPORT}"
    if units < MIN_UNITS:
        return f"no interval: they stand in {units} {unit}s, fewer than {MIN_UNITS}"
    return None


def design_effect(sizes: npt.ArrayLike, correlation: float = CORRELATION) -> float:
    """How many times the variance of independent sentences that of clustered ones is.

    Args:
        sizes: (documents,) entities in each.
        correlation: between the errors in two entities of one document.
    """
    n = np.asarray(sizes, np.float64)
    if not n.any():
        return 1.0
    mean = float((n**2).sum() / n.sum())
    return max(1.0, (1 + (mean - 1) * correlation) / (1 - correlation))


def stretched(found: Interval, point: Floats, effect: Floats) -> Interval:
    """Intervals (m,) of independent sentences, made those of clustered ones; differences lie within −1 … 1."""
    root = np.sqrt(effect)
    low, high = (np.clip(point + root * (end - point), -1, 1) for end in found)
    return Interval(low, high)


def clustered_p(point: Floats, without: Floats, clusters: Clusters) -> Floats:
    """Two-sided p-values (m,) of the normal test with a design effect; 1 where the jackknife is undefined.

    Args:
        point: (m,) the differences.
        without: (sentences, m) the same on all sentences but one.
    """
    n = len(without)
    variance = (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    contrary = (2 * point / np.maximum(clusters.units, 1)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(point) / np.sqrt(clusters.effect * (variance + contrary))
    return np.array([1.0 if np.isnan(one) else math.erfc(one / math.sqrt(2)) for one in z])


def consistent(found: Interval, point: Floats, p: Floats, confidence: float) -> Interval:
    """Intervals (m,) that hold the observed difference, and 0 where the test does not exclude it."""
    least, most = np.minimum(point, 0), np.maximum(point, 0)
    is_open = p > 1 - confidence
    return Interval(
        np.minimum(found.low, np.where(is_open, least, point)),
        np.maximum(found.high, np.where(is_open, most, point)),
    )
