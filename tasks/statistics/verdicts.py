"""What an interval of candidate − base means."""

from collections.abc import Iterable
from typing import Literal, get_args

Verdict = Literal["regression", "inconclusive", "pass", "improvement"]
"""From the worst to the best."""


def verdict(low: float, high: float, margin: float) -> Verdict:
    """The verdict on a difference that lies in [low, high], where a fall by less than `margin` is none.

    `improvement`: low > 0. `pass`: low > −margin, or no difference at all. `regression`: high < 0 and not `pass`. Else
    the data cannot tell: `inconclusive`. All three arguments are fractions: half a point is 0.005.
    """
    if low > 0:
        return "improvement"
    if low > -margin or low == high == 0:
        return "pass"
    return "regression" if high < 0 else "inconclusive"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several. Raises ValueError where there is none."""
    return min(verdicts, key=get_args(Verdict).index)
