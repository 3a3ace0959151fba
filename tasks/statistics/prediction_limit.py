"""Is a duration longer than those of earlier runs, beyond their noise?

Durations are compared as logarithms, so that a difference is a ratio. The reference is the durations of earlier runs on
the same kind of host: their median, and their median absolute deviation (MAD) as the spread, so that a single busy run
neither hides a slowdown nor causes one. A duration is suspicious if it exceeds both the margin and the one-sided
prediction limit

    median + t(confidence, n - 1) · MAD′ · √(1 + 1/n)

for n runs, where MAD′ is the MAD scaled to a normal deviation (Hahn & Meeker, Statistical Intervals, 1991, ch. 4;
Rousseeuw & Croux 1993 for the scaling). The caller then measures once more; only a duration that is suspicious both
times is a slowdown.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FEWEST_RUNS = 5
"""With fewer earlier runs, there is no limit."""
NORMAL_MAD = 1.4826
"""Standard deviations of a normal distribution per MAD."""
LEAST_SPREAD = 0.01
"""Lower bound of the spread. No host repeats a duration more exactly, even if a few runs agree by chance."""


class Slowdown(NamedTuple):
    """One duration compared with those of earlier runs."""

    reference_s: float
    """Median of the earlier durations, in seconds."""
    ratio: float
    """The duration divided by `reference_s`."""
    limit: float
    """The ratio above which the duration is suspicious. Smaller ratios are indistinguishable from noise."""
    runs: int
    """Number of earlier durations."""

    @property
    def is_suspicious(self) -> bool:
        """Whether the duration exceeds the limit."""
        return self.ratio > self.limit


def slowdown(earlier: Sequence[float], duration: float, *, margin: float, confidence: float) -> Slowdown | None:
    """Compare a duration with those of earlier runs, all in seconds; None if there are fewer than FEWEST_RUNS.

    Args:
        earlier: Durations of comparable runs, in any order.
        duration: The duration to judge.
        margin: The largest acceptable increase, e.g. 0.1 for a tenth.
        confidence: One-sided confidence level of the prediction limit.
    """
    from scipy.stats import t

    runs = len(earlier)
    if runs < FEWEST_RUNS:
        return None
    logs = np.log(earlier)
    centre = float(np.median(logs))
    spread = max(NORMAL_MAD * float(np.median(np.abs(logs - centre))), LEAST_SPREAD)
    above = float(t.ppf(confidence, runs - 1)) * spread * math.sqrt(1 + 1 / runs)
    return Slowdown(
        reference_s=math.exp(centre),
        ratio=duration / math.exp(centre),
        limit=max(math.exp(above), 1 + margin),
        runs=runs,
    )
