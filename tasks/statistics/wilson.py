"""Confidence intervals of shares, such as precision, recall and F1, when errors cluster by document.

Each end is that of Wilson's score interval (1927) for as many independent answers as the documents are worth: it
follows the variance that the end itself implies, and exists where no error is seen. Nothing is resampled: same counts,
same bits.

The effective number of answers n comes from the variance v of the share p: n = p (1 − p) / v. The delete-one jackknife
over the units (documents) gives v for every function of the counts. With few erroneous documents v is itself uncertain,
and mostly too small: the worst documents are rare, so few corpora show one. Therefore 1 / n is a weighted mean of

- v / (p (1 − p)), with the degrees of freedom k of v (Satterthwaite: 2 / (Σ influence⁴ / (Σ influence²)² − 1 / u)), and
- for the low end p Σ s², for the high end (1 − p) Σ s²: where each of u units is all right or all wrong and s is its
  share of the entities, the share has the variance p (1 − p) Σ s², of which the part p lies below the mean and the
  part 1 − p above it. It has the weight PRIOR, of one degree of freedom.

So a share close to 1 may be much lower elsewhere, where a document goes wrong as a whole, but hardly higher.
`docs/scores.md` has the measured coverage, and `tests/tasks/statistics/test_simulations.py` the simulation.
"""

from statistics import NormalDist

import numpy as np

from nerbench.tasks.statistics.bootstrap import Floats
from nerbench.tasks.statistics.intervals import Interval

PRIOR = 1.0
"""Degrees of freedom of the prior, in which all entities of a unit are right or wrong together."""
NO_INFLUENCE = 1e-12
"""A difference up to this is rounding."""


def wilson(estimate: Floats, left_out: Floats, shares: Floats, confidence: float = 0.95) -> Interval:
    """Confidence intervals of m shares, as this module's docstring defines them.

    Args:
        estimate: (m,) in 0…1, on all units; NaN where undefined.
        left_out: (units, m) the same on all units but one.
        shares: (units, m) of the entities in each unit; each column sums to 1.
        confidence: probability to cover the true value.

    Returns:
        Ends within 0…1, the estimate between them; NaN where it is undefined, or is without one of the units, or where
        fewer than two units hold an entity.
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
    """The estimate ± t standard errors of the jackknife, for numbers that may lie outside 0…1. As of `wilson`."""
    from scipy.special import stdtrit

    variance, _ = _jackknife(estimate, left_out, shares)
    freedom = np.maximum(np.count_nonzero(shares, axis=0) - 1, 1)
    half = stdtrit(freedom, 0.5 + confidence / 2) * np.sqrt(variance)
    return Interval(estimate - half, estimate + half)


def _end(p: Floats, per_answer: Floats, z: float) -> Floats:
    """(m,) the shares that p is z of their own standard errors below (z < 0) or above, for 1 / per_answer answers."""
    z2 = z * z * per_answer
    end: Floats = (p + z2 / 2 + np.copysign(np.sqrt(z2 * p * (1 - p) + z2 * z2 / 4), z)) / (1 + z2)
    return end


def _jackknife(estimate: Floats, left_out: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(m,) variance of each estimate, and (m,) degrees of freedom of that; NaN where either has none."""
    units = np.count_nonzero(shares, axis=0)
    influence = left_out - estimate
    squares = np.where(np.abs(influence) <= NO_INFLUENCE, 0, influence**2)
    total = _sums(squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 2 / (_sums(squares**2) / total**2 - 1 / units)
        variance: Floats = np.where(units > 1, (units - 1) / units * total, np.nan)
        return variance, np.clip(freedom, 1, np.maximum(units - 1, 1))


def _sums(values: Floats) -> Floats:
    """(m,) sums over the units, added in the same order, and so to the same bits, whatever m is."""
    sums: Floats = np.ascontiguousarray(values.T).sum(axis=1)
    return sums
