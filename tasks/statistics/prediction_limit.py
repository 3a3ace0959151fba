"""Is tonight slower than the nights before, beyond their own noise?

Durations are compared as logarithms, so that a difference is a ratio. The reference is a window of nights on the same
kind of host; its centre is their median and its spread their median absolute deviation (MAD), so that one busy night
in the window neither hides a slowdown nor is one. Tonight is suspicious above the one-sided prediction limit

    median + t(confidence, n - 1) · MAD′ · √(1 + 1/n)        and above the margin,

with MAD′ the MAD scaled to a normal deviation, for n nights (Hahn & Meeker, Statistical Intervals, 1991, ch. 4;
Rousseeuw & Croux 1993 for the scaling). Whoever measures then measures once more: a slowdown is what both show.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST_RUNS = 5
"""Below this, there is no window to judge by."""
NORMAL_MAD = 1.4826
"""Standard deviations of a normal distribution in its MAD."""
LEAST_SPREAD = 0.01
"""No host repeats a duration better than this, whatever a few nights say."""


class Slowdown(NamedTuple):
    """What one duration is beside the window of nights before it."""

    reference_s: float
    """Median of the window, seconds."""
    ratio: float
    """Tonight over that."""
    limit: float
    """The ratio above which tonight is suspicious; what is smaller cannot be told from noise."""
    nights: int
    """In the window."""

    @property
    def is_suspicious(self) -> bool:
        """Whether tonight is slower than the limit."""
        return self.ratio > self.limit


def slowdown(window: Sequence[float], tonight: float, *, margin: float, confidence: float) -> Slowdown | None:
    """Compare a duration with those of the nights before, all in seconds; None for fewer than FEWEST_NIGHTS.

    Args:
        window: Durations of comparable nights, in any order.
        tonight: The duration to be judged.
        margin: What a duration may grow without being a slowdown, e.g. 0.1 for a tenth.
        confidence: One-sided, of the prediction limit.
    """
    from scipy.stats import t

    nights = len(window)
    if nights < FEWEST_RUNS:
        return None
    logs = np.log(window)
    centre = float(np.median(logs))
    spread = max(NORMAL_MAD * float(np.median(np.abs(logs - centre))), LEAST_SPREAD)
    above = float(t.ppf(confidence, nights - 1)) * spread * math.sqrt(1 + 1 / nights)
    return Slowdown(
        reference_s=math.exp(centre),
        ratio=tonight / math.exp(centre),
        limit=max(math.exp(above), 1 + margin),
        nights=nights,
    )
