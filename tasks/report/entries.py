"""What a report has scores of: one model on the words of one split, beside one annotation."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nerbench.artifacts.results.tables import read_newest_first
from nerbench.tasks.report.chosen import ChosenRun
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.slicing.slices import EVERYTHING

ABOUT = (
    *("artifact_id", "model_sha256", "model", "dataset", "split", "gold", "dtype"),
    *("words_sha256", "gold_sha256", "predictions_digest", "n_models"),
)
"""Columns that are the same in every row of an entry."""
_QUANTITY = ("level", "mode", "slice", "label", "average", "metric")
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
)
_COLUMNS = (*ABOUT, *_QUANTITY, *_NUMBER, "run_id", "status", "reason", "parameters", "source")
Key = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The scores of one artifact beside one annotation, as one run wrote them."""

    run: ChosenRun
    about: Row
    """By column of ABOUT."""
    rows: list[Row]
    """Of `metrics`, without those of a user's own metrics."""
    own: list[Row]
    """Of a user's own metrics."""
    _by_key: dict[Key, Row]

    @property
    def name(self) -> str:
        """The model's."""
        return str(self.about["model"])

    @property
    def place(self) -> str:
        """The data set, and the annotation where it is not the data set's own."""
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
        """The row of a number: by default strict, overall, of all entities, the micro average."""
        label = wanted.get("label", OVERALL)
        average = wanted.get("average", "micro" if label == OVERALL else "")
        level, mode = wanted.get("level", "entity"), wanted.get("mode", "strict")
        return self._by_key.get((level, mode, wanted.get("slice", EVERYTHING), label, average, metric))

    def number(self, metric: str = "f1", **wanted: str) -> float | None:
        """Its value."""
        row = self.find(metric, **wanted)
        return None if row is None else row["value"]

    def values(self, column: str, **same: str) -> list[str]:
        """What stands in a column of the rows that have the given values, in order of appearance."""
        rows = (row for row in self.rows if all(row[name] == value for name, value in same.items()))
        return list(dict.fromkeys(row[column] for row in rows))

    @property
    def labels(self) -> list[str]:
        """The entity types, sorted."""
        return sorted(set(self.values("label", level="entity", mode="strict", slice=EVERYTHING)) - {OVERALL})


def read_entries(results: str, runs: Sequence[ChosenRun]) -> list[Entry]:
    """The entries of some runs; of what several of them scored, the newest's.

    By data set, its own annotation before further ones, the best F1 first.
    """
    found: dict[tuple[Any, ...], Entry] = {}
    for run in sorted(runs, key=lambda run: run.started_at, reverse=True):
        for entry in _of_run(results, run):
            about = entry.about
            key = tuple(about[name] for name in ("artifact_id", "dataset", "split", "gold", "dtype"))
            found.setdefault(key, entry)
    return sorted(found.values(), key=_order)


def _of_run(results: str, run: ChosenRun) -> Iterator[Entry]:
    named = [("run_id", "=", run.run_id)]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for dated in read_newest_first(results, "metrics", columns=_COLUMNS, filters=named, date=run.date):
        for row in dated.rows.to_pylist():
            groups.setdefault(tuple(row[name] for name in ABOUT), []).append(row)
    for about, rows in groups.items():
        scores = [row for row in rows if row["source"] is None]
        own = [row for row in rows if row["source"] is not None]
        yield Entry(run=run, about=dict(zip(ABOUT, about, strict=True)), rows=scores, own=own, _by_key=_indexed(scores))


def _indexed(rows: Iterable[Row]) -> dict[Key, Row]:
    """By what the numbers are; a number that was added later stands before the reason why there was none."""
    found: dict[Key, Row] = {}
    for row in rows:
        level, mode, part, label, average, metric = (row[name] for name in _QUANTITY)
        key = (level, mode, part, label, average or "", metric)
        if key not in found or found[key]["value"] is None:
            found[key] = row
    return found


def _order(entry: Entry) -> tuple[Any, ...]:
    about = entry.about
    dataset = (about["dataset"], about["split"], not entry.is_own_gold, about["gold"], about["dtype"])
    return *dataset, -(entry.number() or 0.0), about["model"], about["artifact_id"]
