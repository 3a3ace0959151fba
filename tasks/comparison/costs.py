"""What the two sides of a comparison cost: latency, throughput, memory and price, as their runs measured them."""

from collections.abc import Iterable
from typing import Any

from nerbench.tasks.comparison.scored_runs import ScoredRun
from nerbench.tasks.results.query import rows_of_run, used_memory
from nerbench.tasks.scoring.metrics import Row

IN_MEMORY, PROCESS = "eager", "process"
"""The backends of the latency sample: calls in one process, and requests to a process, which taggers have too."""
QUANTITIES = ("p50_s", "words_per_s", "batch_words_per_s", "load_s", "peak_bytes", "cost_per_million_words")
"""Columns of `speed` and `memory`, one sentence at a time. `batch_words_per_s` is for many sentences in one request;
`peak_bytes` is above the baseline."""


def costs(results: str, base: ScoredRun, candidate: ScoredRun) -> list[Row]:
    """A row for each quantity that both runs measured in the same way, or that only an endpoint has (the price).

    Columns: `quantity` (one of QUANTITIES), `base`, `candidate` (null: not measured), `backend`. Two models are
    compared in memory, anything else at the boundary of a process. Empty if no backend is common to both.
    """
    sides = [_by_backend(results, side) for side in (base, candidate)]
    backend = next((one for one in (IN_MEMORY, PROCESS) if all(one in side for side in sides)), None)
    if backend is None:
        return []
    measured = [side[backend] for side in sides]
    return [
        {"quantity": quantity, "backend": backend} | dict(zip(("base", "candidate"), values, strict=True))
        for quantity in QUANTITIES
        if any(values := [one.get(quantity) for one in measured])
    ]


def _by_backend(results: str, side: ScoredRun) -> dict[str, Row]:
    """The quantities of one side, by backend."""
    found: dict[str, Row] = {}
    speed, memory = (_plain(rows_of_run(results, table, side.run_id, side.date), side) for table in ("speed", "memory"))
    for row in speed:
        quantities = found.setdefault(row["backend"] or IN_MEMORY, {})
        if row["batch_size"] == 1:
            quantities |= {name: row.get(name) for name in ("p50_s", "words_per_s", "cost_per_million_words")}
        elif row["backend"] == PROCESS:
            quantities["batch_words_per_s"] = row["words_per_s"]
    for row in memory:
        used = {"load_s": row.get("load_s"), "peak_bytes": used_memory(row)}
        found.setdefault(row.get("backend") or IN_MEMORY, {}).update(used)
    return found


def _plain(rows: Iterable[Row], side: ScoredRun) -> list[dict[str, Any]]:
    """The rows about plain inference of the artifact on sentences of real lengths."""
    return [
        row
        for row in rows
        if row["artifact_id"] == side.artifact_id
        and row["workload"] == "inference"
        and row["sequence_length"] is None
        and row.get("backend") in {None, IN_MEMORY, PROCESS}
    ]
