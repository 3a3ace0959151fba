"""The speed gate: is a model slower than in the nights before, on the same kind of host, beyond their noise?

Only nights of the same host at the same calibrated rate are compared; the others say nothing about the model. What is
compared is the latency without what disturbs a shared machine for seconds at a time: each sentence's least seconds in
several passes, their median. A night that looks slow is measured once more, and the faster of the two is what is judged
(`nerbench.tasks.statistics.prediction_limit`).
"""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from nerbench.artifacts.tables.tables import DatedRows, read_newest_first
from nerbench.tasks.config import SpeedGateConfig
from nerbench.tasks.statistics.prediction_limit import FEWEST_RUNS, Slowdown, slowdown

Row = Mapping[str, Any]

SERIES = (
    *("model", "device", "host", "dtype", "backend", "threads", "processes"),
    *("workload", "batch_size", "sequence_length", "dataset"),
)
"""What must be the same for two rows of `speed` to be compared."""
UNDISTURBED = "min_latency_s"
"""The column of `speed` that is compared."""
RATE, RATE_TOLERANCE = "sgemm_flops_per_s", 0.15
"""Nights on which the host computed a fixed matrix product at another rate are other hosts, whatever their name."""
FURTHEST_RUNS = 90
"""Dates that are looked at for comparable ones."""


def compare_runs(results: str, measured: Row, gate: SpeedGateConfig, *, before: str) -> Slowdown | None:
    """A measured row of `speed` beside those of earlier dates; None where too few nights are comparable."""
    nights = comparable_runs(results, measured, gate.nights, before=before)
    return slowdown(nights, measured[UNDISTURBED], margin=gate.slowdown / 100, confidence=gate.confidence)


def comparable_runs(results: str, measured: Row, most: int, *, before: str) -> list[float]:
    """Undisturbed latencies, seconds, of the newest `most` comparable dates before; a date's best counts."""
    found: list[float] = []
    columns = [*SERIES, RATE, UNDISTURBED]
    filters = [("model", "=", measured["model"]), ("status", "=", "ok")]
    dates = read_newest_first(results, "speed", columns=columns, filters=filters)
    for number, night in enumerate(one for one in dates if one.date < before):
        if len(found) == most or number == FURTHEST_RUNS:
            break
        if seconds := _comparable(night, measured):
            found.append(min(seconds))
    return found


def _comparable(night: DatedRows, measured: Row) -> list[float]:
    rows = night.rows.filter(pc.is_valid(night.rows[UNDISTURBED])).to_pylist()
    return [
        row[UNDISTURBED]
        for row in rows
        if all(row[name] == measured[name] for name in SERIES) and same_rate(row, measured)
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
        "metric": UNDISTURBED,
        "unit": "seconds",
        "candidate": measured[UNDISTURBED],
        "margin": gate.slowdown / 100,
        "confidence": gate.confidence,
    }
    if found is None:
        reason = f"fewer than {FEWEST_RUNS} earlier nights on {measured['host']} at this rate to compare with"
        return about | {"verdict": "inconclusive", "failed": False, "reason": reason}
    slow = found.is_suspicious
    return about | {
        "base": found.reference_s,
        "delta": measured[UNDISTURBED] - found.reference_s,
        "detectable": (found.limit - 1) * found.reference_s,
        "verdict": "regression" if slow else "pass",
        "failed": slow,
        "reason": in_words(found, measured[UNDISTURBED]) + (", measured twice" if slow else ""),
    }


def in_words(found: Slowdown, seconds: float) -> str:
    """`undisturbed latency 12.1 ms, 1.21 times that of 14 nights (10.0 ms; limit 1.10 times)`."""
    return (
        f"undisturbed latency {1000 * seconds:.1f} ms, {found.ratio:.2f} times that of {found.nights} nights "
        f"({1000 * found.reference_s:.1f} ms; limit {found.limit:.2f} times)"
    )
