"""Paired tests of two models on the same units, and the interval and p-value of their difference.

Whole units are resampled or swapped, never single entities, because errors within a document are correlated. The units
are documents if at least 20 of them have entities. The interval is that of the paired bootstrap
(`nerbench.tasks.statistics.confidence_intervals`), the p-value that of the permutation test (`p_value`).

Fewer documents say little about how documents differ. Therefore, sentences are resampled instead, and the correlation
within a document is assumed, not estimated: CORRELATION between two entities of one document. The variance of a sum
over documents with N₁, N₂, … entities is then that of independent sentences times the design effect (Kish 1965, § 5.4
and 8.2)

    deff = (1 + (m − 1) ρ) / (1 − ρ),    m = Σ N² / Σ N,

where the denominator corrects for the correlation that resampled sentences of few documents do not show. It stretches
the interval by √deff. The p-value is the larger one of the permutation test over sentences and of a normal test with
the variance deff · (s² + (2 δ / n)²). Here s is the jackknife's standard error, and the second term is the change that
one more sentence with the opposite result would cause, so that a few sentences that all agree do not count as
certainty. If p > 1 − confidence, the interval is extended to 0.
"""

import math
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.confidence_intervals import Interval, interval
from nerbench.tasks.statistics.resampling import Floats, chunks, left_out, resampled

TIE = 1e-9
"""Relative difference below which a permuted statistic counts as equal to the observed one, because both are
rounded."""
CORRELATION = 0.4
"""Assumed correlation between two entities of one document. At most 0.3 was measured (MiniLM's labels on CoNLLpp; 0.12
overall). With 0.4, even one or two documents, whose effects are far from normal, cause few false alarms."""


class PairedSums(NamedTuple):
    """Sums over the same resamples, or after the same swaps, of the units of both models."""

    base: Floats
    """(n, k)"""
    candidate: Floats
    """(n, k)"""


def paired_bootstrap(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 1000) -> PairedSums:
    """Sums of both models, (units, k) each, over the same resamples: those of `bootstrap.resampled`.

    Raises:
        ValueError: There are no units, or the two differ in units or columns.
    """
    both = np.concatenate(_same_shape(base, candidate), axis=1)
    return PairedSums(*np.hsplit(resampled(both, seed=seed, n=n), 2))


def permuted(base: npt.ArrayLike, candidate: npt.ArrayLike, *, seed: int, n: int = 10_000) -> PairedSums:
    """Sums of both models, (units, k) each, after swapping them in every unit with a probability of one half, n times.

    If both models are equally good, and in the same way, swaps do not change how likely the counts are.

    Raises:
        ValueError: The two differ in units or columns.
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
    """Sums of both models after swaps, for `p_value`; the test is exact if there are few units.

    Swapping a unit in which both have the same counts changes nothing, so only the others are swapped: in every way
    except the observed one if there are at most n, otherwise in n random ways.

    Raises:
        ValueError: The two differ in units or columns.
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

    Large means far from 0. An undefined permuted difference counts as large, which increases p. p is NaN if the
    observed difference is undefined. It is never 0 (Phipson & Smyth 2010).

    Args:
        observed: (m,)
        permuted: (n, m)
    """
    smaller = (np.abs(permuted) < np.abs(observed) * (1 - TIE)).sum(axis=0)
    n = len(permuted)
    return np.where(np.isnan(observed), np.nan, (n - smaller + 1) / (n + 1))


def holm(p: npt.ArrayLike) -> Floats:
    """Adjusted p-values (m,) of one family of tests (Holm 1979); NaN stays NaN and does not count.

    If everything with an adjusted p of at most α is rejected, the probability of any false alarm in the family is at
    most α.
    """
    values = np.asarray(p, np.float64)
    adjusted = np.full_like(values, np.nan)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def detectable(resampled_deltas: Floats, confidence: float = 0.95, power: float = 0.8) -> Floats:
    """The smallest true differences (m,) that a comparison of this pair on this corpus would find with this power.

    (z₁₋α⸝₂ + z_power) standard errors of the differences over n resamples, (n, m); NaN if one is undefined.
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


class Resampling(NamedTuple):
    """The parameters of the tests."""

    seed: int
    resamples: int
    permutations: int
    confidence: float


class Clusters(NamedTuple):
    """The correlation of resampled sentences."""

    effect: Floats
    """(m,) design effects."""
    units: npt.ArrayLike
    """(m,) number of sentences with entities."""


class Assessed(NamedTuple):
    """The results for m differences, (m,) each."""

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
    """Test m differences, as defined in this module's docstring.

    Args:
        base, candidate: (units, k) counts of both models.
        delta: Computes differences (…, m) from sums (…, k) of both.
        clusters: Given if the units are sentences of documents.
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


def design_effect(sizes: npt.ArrayLike, correlation: float = CORRELATION) -> float:
    """The ratio of the variance of clustered sentences to that of independent ones.

    Args:
        sizes: (documents,) number of entities.
        correlation: Between the errors in two entities of one document.
    """
    n = np.asarray(sizes, np.float64)
    if not n.any():
        return 1.0
    mean = float((n**2).sum() / n.sum())
    return max(1.0, (1 + (mean - 1) * correlation) / (1 - correlation))


def stretched(found: Interval, point: Floats, effect: Floats) -> Interval:
    """Intervals (m,) of independent sentences, stretched to those of clustered ones; differences stay within −1 … 1."""
    root = np.sqrt(effect)
    low, high = (np.clip(point + root * (end - point), -1, 1) for end in found)
    return Interval(low, high)


def clustered_p(point: Floats, without: Floats, clusters: Clusters) -> Floats:
    """Two-sided p-values (m,) of the normal test with a design effect; 1 if the jackknife is undefined.

    Args:
        point: (m,) the differences.
        without: (sentences, m) the differences on all sentences but one.
    """
    n = len(without)
    variance = (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    contrary = (2 * point / np.maximum(clusters.units, 1)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(point) / np.sqrt(clusters.effect * (variance + contrary))
    return np.array([1.0 if np.isnan(one) else math.erfc(one / math.sqrt(2)) for one in z])


def consistent(found: Interval, point: Floats, p: Floats, confidence: float) -> Interval:
    """Intervals (m,) that include the observed difference, and also 0 if the test does not exclude it."""
    least, most = np.minimum(point, 0), np.maximum(point, 0)
    is_open = p > 1 - confidence
    return Interval(
        np.minimum(found.low, np.where(is_open, least, point)),
        np.maximum(found.high, np.where(is_open, most, point)),
    )
