"""The scores of one model on one split against one annotation, as a report shows them, with details."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa

from nerbench.artifacts.errors import CorruptArtifactError, report
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import as_rows, count_rows, read_parts, read_rows, with_declared
from nerbench.artifacts.tables.parquet_bounds import corrupt_if_unreadable
from nerbench.artifacts.tables.schemas import schema
from nerbench.artifacts.tables.tables import read_newest_first
from nerbench.tasks.config.schema_base import MODES
from nerbench.tasks.data.arrow_cache import table_from_batches
from nerbench.tasks.results.query import NumberKey, SelectedRun, index_numbers, number_key
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING
from nerbench.tasks.scoring.stored_predictions import READ_AS, predictions_key

ABOUT = (
    *("artifact_id", "model_sha256", "model", "dataset", "split", "gold", "dtype"),
    *("words_sha256", "gold_sha256", "predictions_digest", "n_models"),
)
"""Columns that are equal in all rows of an entry."""
_NUMBER = (
    "value",
    "ci_low",
    "ci_high",
    "confidence",
    "std",
    "tp",
    "n_pred",
    "n_gold",
    "n_documents",
    "n_invalid",
    "n_repaired",
    *READ_AS,
)
_COLUMNS = (*ABOUT, *NumberKey._fields, *_NUMBER, "run_id", "status", "reason", "parameters", "source")


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """The scores of one artifact against one annotation, from one run."""

    run: SelectedRun
    about: Row
    """By column of ABOUT."""
    rows: list[Row]
    """Rows of `metrics`, without custom metrics."""
    own: list[Row]
    """Rows of custom metrics."""
    _by_key: dict[NumberKey, Row]

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.about["model"])

    @property
    def place(self) -> str:
        """The data set, with the annotation if it is not the data set's own."""
        dataset, gold = self.about["dataset"], self.about["gold"]
        return dataset if self.is_own_gold else f"{dataset} against {gold}"

    @property
    def is_own_gold(self) -> bool:
        """Whether it is scored against the data set's own annotation."""
        return bool(self.about["dataset"] == self.about["gold"])

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean over the seeds of a model."""
        return self.about["n_models"] is not None

    def find(self, metric: str = "f1", **wanted: str) -> Row | None:
        """The row of a number; `number_key` has the defaults."""
        return self._by_key.get(number_key(metric, **wanted))

    def number(self, metric: str = "f1", **wanted: str) -> float | None:
        """The value of a number."""
        row = self.find(metric, **wanted)
        return None if row is None else row["value"]

    def values(self, column: str, **same: str) -> list[str]:
        """The distinct values of a column in the rows with the given values, in order of appearance."""
        rows = (row for row in self.rows if all(row[name] == value for name, value in same.items()))
        return list(dict.fromkeys(row[column] for row in rows))

    @property
    def labels(self) -> list[str]:
        """The entity types, sorted."""
        return sorted(set(self.values("label", level="entity", mode="strict", slice=EVERYTHING)) - {OVERALL})


def read_model_scores(results: str, runs: Sequence[SelectedRun]) -> list[ModelScores]:
    """The entries of some runs; if several runs scored the same, those of the newest.

    Ordered by data set, with its own annotation first, and by F1, best first.
    """
    found: dict[tuple[Any, ...], ModelScores] = {}
    for run in sorted(runs, key=lambda run: run.started_at, reverse=True):
        for entry in _of_run(results, run):
            about = entry.about
            key = tuple(about[name] for name in ("artifact_id", "dataset", "split", "gold", "dtype"))
            found.setdefault(key, entry)
    return sorted(found.values(), key=_order)


def _of_run(results: str, run: SelectedRun) -> Iterator[ModelScores]:
    named = [("run_id", "=", run.run_id)]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for dated in read_newest_first(results, "metrics", columns=_COLUMNS, filters=named, date=run.date):
        for row in as_rows(dated.rows):
            groups.setdefault(tuple(row[name] for name in ABOUT), []).append(row)
    for about, rows in groups.items():
        scores = [row for row in rows if row["source"] is None]
        own = [row for row in rows if row["source"] is not None]
        yield ModelScores(
            run=run, about=dict(zip(ABOUT, about, strict=True)), rows=scores, own=own, _by_key=index_numbers(scores)
        )


def _order(entry: ModelScores) -> tuple[Any, ...]:
    about = entry.about
    dataset = (about["dataset"], about["split"], not entry.is_own_gold, about["gold"], about["dtype"])
    return *dataset, -(entry.number() or 0.0), about["model"], about["artifact_id"]


class Sample(NamedTuple):
    """Some of the rows about an entry."""

    rows: pa.Table
    total: int
    """The number of all rows about it."""


class StoredTable:
    """One of the detail tables, listed once. Its files are found by the predictions that they are about."""

    def __init__(self, results: str, table: str) -> None:
        self._root, self._table = open_root(results), table

    @cached_property
    def _paths(self) -> dict[str, str]:
        paths = self._root.files(self._table, recursive=True)
        return {PurePosixPath(path).stem: path for path in paths if path.endswith(".parquet")}

    def count(self, entry: ModelScores) -> int:
        """The number of rows about an entry. Damage is reported as by `rows`."""
        path = self._path(entry)
        if path is None:
            return 0
        try:
            return count_rows(self._root, path)
        except (CorruptArtifactError, FileNotFoundError) as error:
            report(self._root.uri(path), error)
            return 0

    def sample(self, entry: ModelScores, columns: Sequence[str], first: int, step: int) -> "Sample":
        """Every `step`-th of the rows about an entry, from number `first` on, without the others in memory.

        `first` is less than `step`. Damage is reported as by `rows`.
        """
        fields = schema(self._table)
        declared = pa.schema([fields.field(name).with_nullable(True) for name in columns])
        nothing, total = Sample(declared.empty_table(), 0), 0
        if (path := self._path(entry)) is None:
            return nothing

        def parts() -> Iterator[pa.RecordBatch]:
            nonlocal total
            for part in read_parts(self._root, path, {*columns}):
                chosen = part.take(pa.array(range((first - total) % step, part.num_rows, step), pa.int64()))
                with corrupt_if_unreadable(self._root.uri(path)):
                    chosen = with_declared(chosen, declared).select(declared.names).cast(declared)
                yield from chosen.to_batches()
                total += part.num_rows

        try:
            return Sample(table_from_batches(parts(), declared), total)
        except (CorruptArtifactError, FileNotFoundError) as error:
            report(self._root.uri(path), error)
            return nothing

    def rows(self, entry: ModelScores, columns: Sequence[str]) -> list[Row]:
        """These columns of the rows about an entry; none if nothing was written or the file is damaged.

        Damage is reported: see `nerbench.artifacts.errors`.
        """
        if (path := self._path(entry)) is None:
            return []
        found = with_declared(self._read(path, {*columns}), schema(self._table), {*columns})
        return as_rows(found.select(list(columns)))

    def _path(self, entry: ModelScores) -> str | None:
        is_known = entry.about["predictions_digest"] is not None
        return self._paths.get(predictions_key(entry.about)) if is_known else None

    def _read(self, path: str, wanted: set[str]) -> pa.Table:
        try:
            return read_rows(self._root, path, wanted)
        except (CorruptArtifactError, FileNotFoundError) as error:
            report(self._root.uri(path), error)
            return pa.table({})


Plain = dict[str, Any]
METRICS = ("precision", "recall", "f1")
CONFIDENCE = ("ece_equal_mass", "ece_equal_width", "brier", "aurc")


def number(row: Row | None) -> Plain | None:
    """A score for the page: `v` with `lo` and `hi`, rounded to a thousandth of a point; `why` if there is no
    interval."""
    if row is None:
        return None
    found = {"v": _rounded(row["value"]), "lo": _rounded(row["ci_low"]), "hi": _rounded(row["ci_high"])}
    found |= {"n": row["n_gold"], "why": row["reason"] if row["value"] is None or row["ci_low"] is None else None}
    return {name: value for name, value in found.items() if value is not None}


def details(entry: ModelScores) -> Plain:
    """The numbers of an entry from `metrics`."""
    return {
        "labels": {label: _scores(entry, label=label) for label in (OVERALL, *entry.labels)},
        "averages": {name: _scores(entry, average=name) for name in ("micro", "macro", "weighted")},
        "modes": {mode: _scores(entry, mode=mode) for mode in MODES if entry.find(mode=mode)},
        "slices": {part: _slice(entry, part) for part in _slices(entry)},
        "confidence": {
            label: {name: number(entry.find(name, label=label)) for name in CONFIDENCE if entry.find(name, label=label)}
            for label in (OVERALL, *entry.labels)
        },
        "accuracy": number(entry.find("accuracy", mode="tag")),
        "n_invalid": (entry.find() or {}).get("n_invalid"),
        "n_documents": (entry.find() or {}).get("n_documents"),
    }


def confusion(table: StoredTable, entry: ModelScores) -> list[Plain]:
    """Pairs of types: `gold`, `pred` (`O` if there is none), `boundaries` and the frequency."""
    rows = table.rows(entry, ("gold_label", "pred_label", "boundaries", "n"))
    return [
        {"gold": row["gold_label"], "pred": row["pred_label"], "boundaries": row["boundaries"], "n": row["n"] or 0}
        for row in rows
    ]


def calibration(table: StoredTable, entry: ModelScores) -> Plain:
    """By label: `bins` of (confidence, accuracy, entities), and the risk–coverage `curve` of (coverage, risk, from)."""
    columns = ("kind", "label", "position", "low", "coverage", "n", "mean_confidence", "accuracy")
    found: Plain = {}
    for row in sorted(table.rows(entry, columns), key=lambda row: row["position"]):
        if row["accuracy"] is None:
            continue
        curves = found.setdefault(row["label"], {"bins": [], "curve": []})
        if row["kind"] == "bin":
            curves["bins"].append([*(_rounded(row[name]) for name in ("mean_confidence", "accuracy")), row["n"]])
        else:
            curves["curve"].append([_rounded(row["coverage"]), _rounded(1 - row["accuracy"]), _rounded(row["low"])])
    return found


def _scores(entry: ModelScores, **wanted: str) -> Plain:
    found = {metric: number(row) for metric in METRICS if (row := entry.find(metric, **wanted))}
    row = entry.find("f1", **wanted) or {}
    return found | {name: row[name] for name in ("tp", "n_pred", "n_gold") if row.get(name) is not None}


def _slices(entry: ModelScores) -> list[str]:
    return [part for part in entry.values("slice", level="entity", mode="strict") if part != EVERYTHING]


def _slice(entry: ModelScores, part: str) -> Plain:
    by_label = {label: number(row) for label in entry.labels if (row := entry.find(slice=part, label=label))}
    overall = entry.find(slice=part) or next((row for row in entry.rows if row["slice"] == part), None)
    return _scores(entry, slice=part) | {"f1": number(overall), "by_label": by_label}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
