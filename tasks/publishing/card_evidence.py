"""The numbers a model card is made of: the rows of the newest run that scored, or measured, an artifact."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pyarrow as pa

from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first, read_results
from nerbench.tasks.results.query import EndedRun, index_numbers, latency_samples, newest_run, number_key
from nerbench.tasks.scoring.metrics import Row

_ABOUT = ("dataset", "split", "gold", "dtype", "words_sha256", "gold_sha256")


class Annotation(NamedTuple):
    """A corpus under one of its annotations, and what the model scored there."""

    dataset: str
    split: str
    gold: str
    dtype: str
    words_sha256: str | None
    gold_sha256: str | None
    rows: list[Row]
    """Of `metrics`; metrics of one's own and means over seeds left out."""

    def find(self, mode: str, metric: str, **wanted: str) -> Row | None:
        """The row of a number; `number_key` has the defaults."""
        return index_numbers(self.rows).get(number_key(metric, mode=mode, **wanted))

    def values(self, column: str) -> list[str]:
        """What stands in a column, in order of appearance."""
        return list(dict.fromkeys(row[column] for row in self.rows))


class Evidence(NamedTuple):
    """What the tables say of an artifact."""

    run_id: str | None
    """The run that scored it; None if none did."""
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
    """The newest numbers of an artifact that a run left which ended.

    A run that wrote nothing but metrics of the user's own (`--tags`) hides no earlier scores.
    Raises CorruptArtifactError naming a damaged table file.
    """
    scored = _newest(results, "metrics", artifact_id, _built_in)
    measured = _newest(results, "speed", artifact_id, latency_samples)
    memory = []
    if measured:
        of_artifact: list[Filter] = [("run_id", "=", measured.run_id), ("artifact_id", "=", artifact_id)]
        memory = latency_samples(read_results(results, "memory", filters=of_artifact).to_pylist())
    return Evidence(
        run_id=scored.run_id if scored else None,
        date=scored.date if scored else None,
        annotations=_annotations(scored.rows.to_pylist() if scored else ()),
        speed=measured.rows.to_pylist() if measured else [],
        memory=memory,
        machine=dict(measured.row) if measured else None,
    )


def _newest(
    results: str, table: str, artifact_id: str, choose: Callable[[Iterable[Row]], list[Row]]
) -> EndedRun | None:
    """The newest complete run with rows of an artifact that `choose` keeps, and those rows."""
    dates = read_newest_first(results, table, filters=[("artifact_id", "=", artifact_id)])

    def chosen(dated: DatedRows) -> DatedRows:
        return dated._replace(rows=pa.Table.from_pylist(choose(dated.rows.to_pylist()), dated.rows.schema))

    return newest_run(results, map(chosen, dates))


def _built_in(metrics: Iterable[Row]) -> list[Row]:
    return [row for row in metrics if row["source"] is None and row["n_models"] is None]


def _annotations(metrics: Iterable[Row]) -> list[Annotation]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in metrics:
        found.setdefault(tuple(row[name] for name in _ABOUT), []).append(row)
    annotations = [Annotation(**dict(zip(_ABOUT, about, strict=True)), rows=rows) for about, rows in found.items()]
    return sorted(annotations, key=lambda one: (one.dataset, one.split, one.gold != one.dataset, one.gold))
