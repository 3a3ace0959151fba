"""The numbers a model card is made of: the rows of the newest run that scored, or measured, an artifact."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from nerbench.artifacts.results.tables import read_newest_first, read_results
from nerbench.tasks.results.latency import latency_samples
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.slicing.slices import EVERYTHING

_ABOUT = ("dataset", "split", "gold", "precision", "words_sha256", "gold_sha256")


class Annotation(NamedTuple):
    """A corpus under one of its annotations, and what the model scored there."""

    dataset: str
    split: str
    gold: str
    precision: str
    words_sha256: str | None
    gold_sha256: str | None
    rows: list[Row]
    """Of `metrics`; metrics of one's own and means over seeds left out."""

    def find(self, mode: str, metric: str, **wanted: str) -> Row | None:
        """The row of a number: overall micro average of all entities unless `slice`, `label` or `average` say else."""
        label = wanted.get("label", OVERALL)
        average = wanted.get("average", "micro" if label == OVERALL else "")
        key = (mode, metric, wanted.get("slice", EVERYTHING), label, average)
        return next((row for row in self.rows if _key(row) == key), None)

    def values(self, column: str) -> list[str]:
        """What stands in a column, in order of appearance."""
        return list(dict.fromkeys(row[column] for row in self.rows))


class Evidence(NamedTuple):
    """What the tables say of an artifact."""

    run_id: str | None
    """The run that scored it; None where none did."""
    date: str | None
    """Its logical date."""
    annotations: list[Annotation]
    """A corpus' own annotation before further ones."""
    speed: list[Row]
    """Of the newest run that measured it."""
    memory: list[Row]
    """Of the same run."""
    machine: Row | None
    """The `runs` row of that run."""


def find_evidence(results: str, artifact_id: str) -> Evidence:
    """The newest numbers of an artifact. Raises CorruptArtifactError naming a damaged table file."""
    run_id, date, metrics = _newest(results, "metrics", artifact_id)
    measured, _, speed = _newest(results, "speed", artifact_id, latency_samples)
    memory, machine = [], None
    if measured:
        of_run = [("run_id", "=", measured)]
        of_artifact = [*of_run, ("artifact_id", "=", artifact_id)]
        memory = latency_samples(read_results(results, "memory", filters=of_artifact).to_pylist())
        machine = next(iter(read_results(results, "runs", filters=of_run).to_pylist()), None)
    return Evidence(run_id, date, _annotations(metrics), speed, memory, machine)


def _newest(
    results: str, table: str, artifact_id: str, choose: Callable[[Iterable[Row]], list[Row]] = list
) -> tuple[str | None, str | None, list[Row]]:
    """The run that wrote last of an artifact, its date and its rows, of those that are chosen."""
    for dated in read_newest_first(results, table, filters=[("artifact_id", "=", artifact_id)]):
        rows = choose(dated.rows.to_pylist())
        if not rows:
            continue
        # Not every table dates its rows; of two runs of one day it is then the one that was read last.
        last = max(enumerate(rows), key=lambda numbered: (str(numbered[1].get("started_at") or ""), numbered[0]))[1]
        return last["run_id"], dated.date, [row for row in rows if row["run_id"] == last["run_id"]]
    return None, None, []


def _annotations(metrics: Iterable[Row]) -> list[Annotation]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in metrics:
        if row["source"] is None and row["n_models"] is None:
            found.setdefault(tuple(row[name] for name in _ABOUT), []).append(row)
    annotations = [Annotation(**dict(zip(_ABOUT, about, strict=True)), rows=rows) for about, rows in found.items()]
    return sorted(annotations, key=lambda one: (one.dataset, one.split, one.gold != one.dataset, one.gold))


def _key(row: Row) -> tuple[str, ...]:
    return (row["mode"], row["metric"], row["slice"], row["label"], row["average"] or "")
