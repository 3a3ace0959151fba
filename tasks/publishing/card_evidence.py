"""Finds the numbers of a model card: the rows of the newest runs that scored and measured an artifact."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pyarrow as pa

from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first, read_results
from nerbench.tasks.results.query import EndedRun, index_numbers, latency_samples, newest_run, number_key
from nerbench.tasks.scoring.metrics import Row

_ABOUT = ("dataset", "split", "gold", "dtype", "words_sha256", "gold_sha256")


class AnnotationScores(NamedTuple):
    """The scores of the model against one annotation of a corpus."""

    dataset: str
    split: str
    gold: str
    dtype: str
    words_sha256: str | None
    gold_sha256: str | None
    rows: list[Row]
    """Rows of the table `metrics`, without custom metrics and means over seeds."""

    def find(self, mode: str, metric: str, **wanted: str) -> Row | None:
        """The row of a number; `number_key` defines the defaults."""
        return index_numbers(self.rows).get(number_key(metric, mode=mode, **wanted))

    def values(self, column: str) -> list[str]:
        """The distinct values of a column, in order of appearance."""
        return list(dict.fromkeys(row[column] for row in self.rows))


class Evidence(NamedTuple):
    """The rows of the tables about an artifact."""

    run_id: str | None
    """The newest run that scored it; None if there is none."""
    date: str | None
    """The logical date of that run."""
    annotations: list[AnnotationScores]
    """The annotation of each corpus, followed by its additional annotations."""
    speed: list[Row]
    """Rows of the newest run that measured it."""
    memory: list[Row]
    """Rows of the same run."""
    machine: Row | None
    """The `runs` row of that run."""


def find_evidence(results: str, artifact_id: str) -> Evidence:
    """The numbers of an artifact from the newest complete runs.

    A run with custom metrics only (`--tags`) does not hide earlier scores.
    Raises CorruptArtifactError, which names the table file, if a table is damaged.
    """
    scored = _newest(results, "metrics", artifact_id, _built_in)
    measured = _newest(results, "speed", artifact_id, _in_memory)
    memory = []
    if measured:
        of_artifact: list[Filter] = [("run_id", "=", measured.run_id), ("artifact_id", "=", artifact_id)]
        memory = _in_memory(read_results(results, "memory", filters=of_artifact).to_pylist())
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
    """The newest complete run with rows of an artifact that `choose` returns, and these rows."""
    dates = read_newest_first(results, table, filters=[("artifact_id", "=", artifact_id)])

    def chosen(dated: DatedRows) -> DatedRows:
        return dated._replace(rows=pa.Table.from_pylist(choose(dated.rows.to_pylist()), dated.rows.schema))

    return newest_run(results, map(chosen, dates))


def _in_memory(rows: Iterable[Row]) -> list[Row]:
    """The latency samples, without those that were measured at the process boundary of taggers."""
    return [row for row in latency_samples(rows) if row.get("backend") != "process"]


def _built_in(metrics: Iterable[Row]) -> list[Row]:
    return [row for row in metrics if row["source"] is None and row["n_models"] is None]


def _annotations(metrics: Iterable[Row]) -> list[AnnotationScores]:
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in metrics:
        found.setdefault(tuple(row[name] for name in _ABOUT), []).append(row)
    annotations = [
        AnnotationScores(**dict(zip(_ABOUT, about, strict=True)), rows=rows) for about, rows in found.items()
    ]
    return sorted(annotations, key=lambda one: (one.dataset, one.split, one.gold != one.dataset, one.gold))
