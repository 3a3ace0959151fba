"""The only rule by which the gate and `compare` judge a difference; a pure function.

A difference is candidate − base, in fractions of 1. The rule uses its observed value; its confidence interval, if there
are enough data for one; and the p-value of a test that there is no difference, adjusted by Holm's method if several
numbers are judged together. The margin is the loss that does not matter.

- `regression`: the observed drop exceeds the margin, p ≤ 1 − confidence, and the interval, if there is one, is wholly
  below 0. (The interval includes 0 if p > 1 − confidence. Therefore, for a number that is judged alone, an interval
  below 0 and a drop beyond the margin are sufficient.)
- `pass`: the low end of the interval is above −margin; called `improvement` if the interval is wholly above 0.
- `undecided`: everything else.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

Verdict = Literal["improvement", "pass", "undecided", "regression"]
"""From best to worst."""
MARGIN = 0.005
"""Half a point."""


class Difference(NamedTuple):
    """The statistics of a difference."""

    delta: float
    """Candidate − base, as observed."""
    low: float | None
    """End of the interval; None if there is none."""
    high: float | None
    p: float
    """Adjusted if several differences are judged together."""


def verdict(found: Difference, *, margin: float = MARGIN, confidence: float = 0.95) -> Verdict:
    """The verdict by this module's rule. Identical predictions have the interval [0, 0] and pass at any margin."""
    is_worse = exceeds(found.delta, margin) and found.p <= 1 - confidence
    if found.low is None or found.high is None:
        return "regression" if is_worse else "undecided"
    if found.low > 0:
        return "improvement"
    if found.low > -margin or found.low == found.high == 0:
        return "pass"
    return "regression" if is_worse and found.high < 0 else "undecided"


def exceeds(delta: float, margin: float) -> bool:
    """Whether the observed drop is larger than the margin."""
    return -delta > margin


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst verdict. Raises ValueError if there is none, because comparing nothing is not passing."""
    return max(verdicts, key=get_args(Verdict).index)
