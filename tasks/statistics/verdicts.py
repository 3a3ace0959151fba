"""What an interval of a difference means for whoever must decide."""

from collections.abc import Iterable
from typing import Literal, get_args

Verdict = Literal["improvement", "pass", "inconclusive", "regression"]
"""From best to worst."""
MARGIN = 0.005
"""The loss that does not matter: half a point."""


def verdict(low: float, high: float, margin: float = MARGIN) -> Verdict:
    """The verdict on the interval [low, high] of candidate − base, in fractions of 1.

    improvement: low > 0; pass: low > −margin; regression: high < 0 and not pass; else inconclusive. A difference
    without an interval (NaN) is inconclusive. Identical predictions have the interval [0, 0] and pass at any margin.
    """
    if low > 0:
        return "improvement"
    if low > -margin or low == high == 0:
        return "pass"
    return "regression" if high < 0 else "inconclusive"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts. Raises ValueError where there are none: nothing compared is nothing passed."""
    return max(verdicts, key=get_args(Verdict).index)
