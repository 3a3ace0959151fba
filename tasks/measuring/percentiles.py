"""Which percentiles a number of samples supports: the early-stopping rule of MLPerf LoadGen.

LoadGen's single-stream scenario (MLCommons inference rules, "Early Stopping Criterion") estimates the q-th percentile
by a high order statistic, leaving at least the largest sample out, and wants 99 % confidence that the true percentile
is not above it. The fewest samples that allow this are the smallest n with P(Binomial(n, 1 - q) <= 1) <= 0.01: 64 for
q = 0.90 and 662 for q = 0.99.
"""

from functools import cache

CONFIDENCE = 0.99
ALWAYS = 50
"""The percentile that any number of samples gives."""
SHOWN = (50, 90, 95, 99)


@cache
def fewest_samples(percent: int) -> int:
    """The fewest samples that support a percentile; 1 for the median."""
    if percent <= ALWAYS:
        return 1
    q = percent / 100
    n = 1
    while q**n + n * (1 - q) * q ** (n - 1) > 1 - CONFIDENCE:
        n += 1
    return n


def supported(n: int) -> list[int]:
    """Those of SHOWN that n samples support."""
    return [percent for percent in SHOWN if n >= fewest_samples(percent)]
