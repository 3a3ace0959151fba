"""The costs of models, from the tables `speed` and `memory`: single sentences, distributions, and sweeps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nerbench.tasks.report.history import is_in_memory, is_one_by_one
from nerbench.tasks.results.query import SelectedRun, rows_of_run, used_memory
from nerbench.tasks.scoring.metrics import Row

Plain = dict[str, Any]
SAMPLES = 400
"""Maximum number of latencies to draw per model."""
SLACK = 0.05
"""Relative difference of latencies and memory between runs that does not matter."""
_SWEPT = (
    *("model", "device", "dtype", "backend", "threads", "processes", "workload", "batch_size", "sequence_length"),
    *("status", "n", "mean_s", "p50_s", "p90_s", "p95_s", "p99_s", "sentences_per_s", "words_per_s", "tokens_per_s"),
)
_MEASURED = ("artifact_id", "device", "dtype", "workload", "batch_size", "sequence_length")
"""Columns that identify a measurement."""
_HOW = ("backend", "threads", "processes")
"""Further columns that identify a measurement of speed."""
_COST = (
    *("device", "dtype", "p50_s", "p90_s", "p99_s", "words_per_s", "load_s", "weights_bytes", "peak_bytes"),
    "parameters",
)


class Costs(NamedTuple):
    """The measurements of some runs."""

    by_artifact: dict[str, Plain]
    """Inference of one sentence at a time: columns of _COST, by artifact_id."""
    latencies: list[Plain]
    """For each of these: `model`, `device`, sorted `samples` in seconds, and their total number."""
    sweep: list[Plain]
    """All other measurements: columns of _SWEPT with `peak_bytes`."""


def read_costs(results: str, runs: Sequence[SelectedRun]) -> Costs:
    """The measurements of some runs; if several runs measured the same, those of the newest."""
    speed = _newest(results, "speed", runs, (*_MEASURED, *_HOW))
    memory = _newest(results, "memory", runs, (*_MEASURED, "backend"))
    by_artifact: dict[str, Plain] = {}
    latencies, sweep = [], []
    for key, row in sorted(speed.items(), key=lambda item: not is_in_memory(item[1])):
        measured, backend = key[: len(_MEASURED)], key[len(_MEASURED)]
        used = memory.get((*measured, backend)) or memory.get((*measured, None), {})
        if is_one_by_one(row) and row["status"] == "ok" and row["artifact_id"] not in by_artifact:
            by_artifact[row["artifact_id"]] = _plain(_COST, row | _memory(used))
            latencies.append(_latencies(row))
        else:
            sweep.append(_plain(_SWEPT, row) | {"peak_bytes": _memory(used)["peak_bytes"]})
    return Costs(by_artifact, latencies, sweep)


class CostPoint(NamedTuple):
    """The F1, latency and memory of a model."""

    f1: float
    latency: float
    memory: float | None

    def beats(self, other: "CostPoint") -> bool:
        """Whether it is at least as good in all three and better in one; costs within SLACK count as equal.

        Memory is ignored if it is unknown for one of the two.
        """
        costs = [(self.latency, other.latency)]
        if self.memory is not None and other.memory is not None:
            costs.append((self.memory, other.memory))
        is_worse = self.f1 < other.f1 or any(ours > theirs * (1 + SLACK) for ours, theirs in costs)
        return not is_worse and (self.f1 > other.f1 or any(ours * (1 + SLACK) < theirs for ours, theirs in costs))


def pareto(points: Sequence[CostPoint]) -> list[bool]:
    """For each point, whether no other point beats it."""
    return [not any(other.beats(point) for other in points) for point in points]


def _newest(
    results: str, table: str, runs: Iterable[SelectedRun], setting: Sequence[str]
) -> dict[tuple[Any, ...], Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for run in runs:
        for row in rows_of_run(results, table, run.run_id, run.date):
            found.setdefault(tuple(row.get(name) for name in setting), row)
    return found


def _memory(row: Row) -> Plain:
    """The memory columns of a row."""
    known = {name: row.get(name) for name in ("load_s", "weights_bytes", "parameters")}
    return known | {"peak_bytes": used_memory(row)}


def _latencies(row: Row) -> Plain:
    samples = sorted(sample for sample in row["samples_s"] or () if sample is not None)
    step = max(1, -(-len(samples) // SAMPLES))
    shown = [float(f"{sample:.4g}") for sample in samples[::step]]
    about = {name: row.get(name) for name in ("artifact_id", "model", "device", "dtype")}
    return about | {"samples": shown, "total": len(samples)}


def _plain(names: Iterable[str], row: Mapping[str, Any]) -> Plain:
    return {name: row.get(name) for name in names}
