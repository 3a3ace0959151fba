"""Confidence intervals of shares, such as precision, recall and F1, when errors cluster by document.

Wilson's score interval (1927) for as many independent answers as the documents are worth. Its width at the ends follows
the variance that the ends themselves imply, so it is wide below and narrow above for a share close to 1, and it exists
where no error is seen. Nothing is resampled: same counts, same bits.

The effective number of answers n comes from the variance v of the share p: n = p (1 − p) / v. The delete-one jackknife
over the units (documents) gives v for every function of the counts. With few erroneous documents v is itself uncertain,
and mostly too small: the worst documents are rare, so few corpora show one. Therefore 1 / n is a weighted mean of

- v / (p (1 − p)), with the degrees of freedom k of v (Satterthwaite: 2 / (Σ influence⁴ / (Σ influence²)² − 1 / u)), and
- Σ s², the inverse of Kish's effective number of units, where each unit counts as one answer: s is its share of the
  entities. It has the weight PRIOR, of half a degree of freedom.

The quantile is Student's t with u − 1 degrees of freedom for u units. `docs/scores.md` has the measured coverage, and
`tests/tasks/statistics/test_simulations.py` the simulation.
"""

import numpy as np

from nerbench.tasks.statistics.bootstrap import Floats
from nerbench.tasks.statistics.intervals import Interval

PRIOR = 0.5
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
    spread = p * (1 - p)
    variance, freedom = _jackknife(estimate, left_out, shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(variance == 0, 1, PRIOR / (PRIOR + freedom))
        observed = np.where(variance == 0, 0, (1 - weight) * variance / spread)
        per_answer = observed + weight * (shares**2).sum(axis=0)
        t2 = _t(shares, confidence) ** 2 * per_answer
        middle = (p + t2 / 2) / (1 + t2)
        half = np.sqrt(t2 * spread + t2**2 / 4) / (1 + t2)
    return Interval(np.clip(middle - half, 0, p), np.clip(middle + half, p, 1))


def symmetric(estimate: Floats, left_out: Floats, shares: Floats, confidence: float = 0.95) -> Interval:
    """The estimate ± t standard errors of the jackknife, for numbers that may lie outside 0…1. As of `wilson`."""
    variance, _ = _jackknife(estimate, left_out, shares)
    half = _t(shares, confidence) * np.sqrt(variance)
    return Interval(estimate - half, estimate + half)


def _jackknife(estimate: Floats, left_out: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """(m,) variance of each estimate, and (m,) degrees of freedom of that; NaN where either has none."""
    units = np.count_nonzero(shares, axis=0)
    influence = left_out - estimate
    squares = np.where(np.abs(influence) <= NO_INFLUENCE, 0, influence**2)
    total = squares.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 2 / ((squares**2).sum(axis=0) / total**2 - 1 / units)
        variance: Floats = np.where(units > 1, (units - 1) / units * total, np.nan)
        return variance, np.clip(freedom, 1, np.maximum(units - 1, 1))


def _t(shares: Floats, confidence: float) -> Floats:
    from scipy.special import stdtrit

    quantile: Floats = stdtrit(np.maximum(np.count_nonzero(shares, axis=0) - 1, 1), 0.5 + confidence / 2)
    return quantile
