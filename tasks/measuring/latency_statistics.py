"""Statistics of the samples of several processes: mean, supported percentiles, throughput, and intervals.

LoadGen's single-stream scenario (MLCommons inference rules, "Early Stopping Criterion") estimates the q-th percentile
by a high order statistic, leaving at least the largest sample out, and wants 99 % confidence that the true percentile
is not above it. The fewest samples that allow this are the smallest n with P(Binomial(n, 1 - q) <= 1) <= 0.01: 64 for
q = 0.90 and 662 for q = 0.99.

The interval is a hierarchical bootstrap's: a resample draws as many processes as there are, with replacement, and of
each drawn process as many samples as it has, with replacement, so that what differs from process to process (memory
layout, clock frequency, neighbours) counts as it should. Few processes say little about that: in simulations where
they differ by more than their samples' means do by chance, the plain percentile interval covers 75 % instead of 95 %
for three, and 85 % for five. It is therefore stretched about the estimate, on the scale of ratios, by
t / z * sqrt(P / (P - 1)) for P processes and Student's t with P - 1 degrees of freedom (2.7 for three, 1.6 for five),
as Hesterberg (2015) expands percentile intervals: it then covers 96 %, and more where processes are alike
(`pytest -m slow tests/tasks/measuring/test_latency_statistics.py`). One process has no interval.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.statistics.resampling import Floats, chunks

PERCENTILE_CONFIDENCE = 0.99
ALWAYS = 50
"""The percentile that any number of samples supports."""
SHOWN = (50, 90, 95, 99)


@cache
def fewest_samples(percent: int) -> int:
    """The minimum number of samples for a percentile; 1 for the median."""
    if percent <= ALWAYS:
        return 1
    q = percent / 100
    n = 1
    while q**n + n * (1 - q) * q ** (n - 1) > 1 - PERCENTILE_CONFIDENCE:
        n += 1
    return n


def supported(n: int) -> list[int]:
    """The percentiles in SHOWN that n samples support."""
    return [percent for percent in SHOWN if n >= fewest_samples(percent)]


RESAMPLES = 1000
CONFIDENCE = 0.95
Statistics = Callable[[Floats], Floats]
"""Rows of ascending samples, NaN at their ends: (n, k) -> (n, m)."""


class Amount(NamedTuple):
    """The input of one call."""

    sentences: int
    words: int | None
    """None if there are only tokens."""
    pieces: int
    """Without padding."""


def summarise(samples: Sequence[Sequence[float]], amounts: Sequence[Sequence[Amount]]) -> dict[str, Any]:
    """The columns of `speed` from samples, in seconds per call; `samples` and `amounts` are by process.

    Raises ValueError if there is no sample.
    """
    flat = np.concatenate([np.asarray(one, np.float64) for one in samples])
    if not len(flat):
        raise ValueError("there are no samples")
    percents = supported(len(flat))
    points = statistics(np.sort(flat)[None], percents)[0]
    columns: dict[str, Any] = {
        "n": len(flat),
        "mean_s": float(points[0]),
        "std_s": float(np.std(flat, ddof=1)) if len(flat) > 1 else None,
        **dict.fromkeys(f"p{percent}_s" for percent in SHOWN),
        **{f"p{percent}_s": float(value) for percent, value in zip(percents, points[1:], strict=True)},
        **_throughput(float(flat.sum()), [amount for one in amounts for amount in one]),
        "samples_s": flat.tolist(),
        "samples_process": [number for number, one in enumerate(samples) for _ in one],
    }
    if len(samples) > 1:
        resampled = hierarchical(samples, lambda rows: statistics(rows, percents))
        low, high = stretched(points, resampled, len(samples))
        names = ["ci", *(f"p{percent}" for percent in percents)]
        columns |= {f"{name}_low_s": float(value) for name, value in zip(names, low, strict=True)}
        columns |= {f"{name}_high_s": float(value) for name, value in zip(names, high, strict=True)}
    return columns


def _throughput(seconds: float, amounts: Sequence[Amount]) -> dict[str, float | None]:
    words = [amount.words for amount in amounts if amount.words is not None]
    return {
        "sentences_per_s": sum(amount.sentences for amount in amounts) / seconds,
        "words_per_s": sum(words) / seconds if words else None,
        "tokens_per_s": sum(amount.pieces for amount in amounts) / seconds,
    }


def statistics(ascending: Floats, percents: Sequence[int]) -> Floats:
    """Mean and percentiles of rows of ascending samples, padded with NaN: (n, k) -> (n, 1 + len(percents)).

    Percentiles interpolate linearly between order statistics, as in NumPy.
    """
    counts = np.sum(~np.isnan(ascending), axis=1)
    rows = np.arange(len(ascending))
    found = [np.nansum(ascending, axis=1) / counts]
    for percent in percents:
        place = (counts - 1) * (percent / 100)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, counts - 1)
        low, high = ascending[rows, below], ascending[rows, above]
        found.append(low + (high - low) * (place - below))
    return np.stack(found, axis=1)


def hierarchical(samples: Sequence[Sequence[float]], of: Statistics, *, n: int = RESAMPLES, seed: int = 0) -> Floats:
    """Statistics of n resamples of processes and their samples: (n, m)."""
    generator = np.random.default_rng(seed)
    sizes = np.array([len(one) for one in samples])
    flat = np.concatenate([np.asarray(one, np.float64) for one in samples])
    found = []
    for part in chunks(n, len(samples) * int(sizes.max())):
        chosen = generator.integers(len(samples), size=(part.stop - part.start, len(samples)))
        found.append(of(np.sort(_drawn(flat, sizes, chosen, generator), axis=1)))
    return np.concatenate(found)


def _drawn(
    flat: Floats, sizes: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64], generator: np.random.Generator
) -> Floats:
    """Samples of the drawn processes: (n, processes) -> (n, processes * largest size), NaN if a process has fewer."""
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    size = sizes[chosen][..., None]
    uniform = generator.random((*chosen.shape, int(sizes.max())))
    at = starts[chosen][..., None] + (uniform * size).astype(np.int64)
    drawn = np.where(np.arange(int(sizes.max())) < size, flat[np.minimum(at, len(flat) - 1)], np.nan)
    return drawn.reshape(len(chosen), -1)


def stretched(points: Floats, resampled: Floats, processes: int) -> tuple[Floats, Floats]:
    """Lower and upper ends of the intervals of m positive statistics, as defined in this module's docstring.

    Args:
        points: (m,) the statistics of all samples.
        resampled: (n, m) the statistics of resamples.
        processes: Their number, at least two.
    """
    from scipy.stats import norm, t  # takes half a second, and only a sweep needs it

    tail = (1 - CONFIDENCE) / 2
    factor = t.ppf(1 - tail, processes - 1) / norm.ppf(1 - tail) * math.sqrt(processes / (processes - 1))
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return points * np.minimum(low / points, 1) ** factor, points * np.maximum(high / points, 1) ** factor
