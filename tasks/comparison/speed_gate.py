"""The speed gate: is a model slower than in earlier runs on the same kind of host, beyond their noise?

The gate compares only runs of the same host at the same calibrated rate. It compares the column `min_latency_s`: the
median, over the sentences, of the shortest time that a sentence took in several passes. Other work on a shared machine
lasts for seconds and rarely disturbs all passes. If a latency exceeds the limit, it is measured once more, and the
shorter of the two counts.

Durations are compared as logarithms, so that a difference is a ratio. The reference is the durations of earlier runs on
the same kind of host: their median, and their median absolute deviation (MAD) as the spread, so that a single busy run
neither hides a slowdown nor causes one. A duration is suspicious if it exceeds both the margin and the one-sided
prediction limit

    median + t(confidence, n - 1) · MAD′ · √(1 + 1/n)

for n runs, where MAD′ is the MAD scaled to a normal deviation (Hahn & Meeker, Statistical Intervals, 1991, ch. 4;
Rousseeuw & Croux 1993 for the scaling).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc

from nerbench.artifacts.tables.tables import DatedRows, read_newest_first
from nerbench.tasks.comparison.quality_gate import UNDECIDED
from nerbench.tasks.config import SpeedGateConfig

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


Row = Mapping[str, Any]

SERIES = (
    *("model", "device", "host", "dtype", "backend", "threads", "processes"),
    *("workload", "batch_size", "sequence_length", "dataset"),
)
"""Columns in which two rows of `speed` must agree to be compared."""
LATENCY = "min_latency_s"
"""The column of `speed` that the gate compares."""
RATE, RATE_TOLERANCE = "sgemm_flops_per_s", 0.15
"""The rate at which the host computed a fixed matrix product. Rates that differ by more indicate another host, even
under the same name."""
MAX_DATES = 90
"""Number of earlier dates to search for comparable runs."""


def compare_runs(results: str, measured: Row, gate: SpeedGateConfig, *, before: str) -> Slowdown | None:
    """Compare a measured row of `speed` with those of earlier dates; None if too few of them are comparable."""
    earlier = comparable_runs(results, measured, gate.runs, before=before)
    return slowdown(earlier, measured[LATENCY], margin=gate.slowdown / 100, confidence=gate.confidence)


def comparable_runs(results: str, measured: Row, most: int, *, before: str) -> list[float]:
    """The lowest latency, in seconds, of each of the newest `most` comparable dates before a date."""
    found: list[float] = []
    columns = [*SERIES, RATE, LATENCY]
    filters = [("model", "=", measured["model"]), ("status", "=", "ok")]
    for dated in read_newest_first(results, "speed", columns=columns, filters=filters, dates=MAX_DATES):
        if len(found) == most:
            break
        if dated.date >= before:
            continue
        if seconds := _comparable(dated, measured):
            found.append(min(seconds))
    return found


def _comparable(dated: DatedRows, measured: Row) -> list[float]:
    rows = dated.rows.filter(pc.is_valid(dated.rows[LATENCY])).to_pylist()
    return [
        row[LATENCY] for row in rows if all(row[name] == measured[name] for name in SERIES) and same_rate(row, measured)
    ]


def same_rate(row: Row, measured: Row) -> bool:
    """Whether the host computed as fast at both measurements."""
    rates = row[RATE], measured[RATE]
    return None not in rates and abs(rates[0] / rates[1] - 1) <= RATE_TOLERANCE


def judged(measured: Row, found: Slowdown | None, gate: SpeedGateConfig) -> dict[str, Any]:
    """The row of `gate` about a measured row of `speed`, which was measured twice if it was slow at first."""
    about = {
        "kind": "speed",
        "model": measured["model"],
        "artifact_id": measured["artifact_id"],
        "dataset": measured["dataset"],
        "metric": LATENCY,
        "unit": "seconds",
        "candidate": measured[LATENCY],
        "margin": gate.slowdown / 100,
        "confidence": gate.confidence,
    }
    if found is None:
        reason = f"fewer than {FEWEST_RUNS} earlier runs on {measured['host']} at this rate to compare with"
        return about | {"verdict": UNDECIDED, "failed": False, "reason": reason}
    slow = found.is_suspicious
    return about | {
        "base": found.reference_s,
        "delta": measured[LATENCY] - found.reference_s,
        "detectable": (found.limit - 1) * found.reference_s,
        "verdict": "regression" if slow else "pass",
        "failed": slow,
        "reason": in_words(found, measured[LATENCY]) + (", measured twice" if slow else ""),
    }


def in_words(found: Slowdown, seconds: float) -> str:
    """`minimum latency 12.1 ms, 1.21 times that of 14 earlier runs (10.0 ms; limit 1.10 times)`."""
    return (
        f"minimum latency {1000 * seconds:.1f} ms, {found.ratio:.2f} times that of {found.runs} earlier runs "
        f"({1000 * found.reference_s:.1f} ms; limit {found.limit:.2f} times)"
    )
