"""The leaderboard of a report: its columns, and the key numbers of every entry, also those of the first screen."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from nerbench.tasks.report.baselines import Compared
from nerbench.tasks.report.costs import CostPoint, Costs, pareto
from nerbench.tasks.report.formats import count, megabytes, milliseconds, points, signed
from nerbench.tasks.report.history import History, Trend, trends
from nerbench.tasks.report.model_scores import ModelScores
from nerbench.tasks.results.query import is_headline
from nerbench.tasks.scoring.metrics import Row

FIRST = 10
"""Number of rows on the first screen."""
BASELINE = "baseline"
"""The role of a model that was scored only as a baseline."""
_SCORES = {
    "F1": ("f1", "strict"),
    "precision": ("precision", "strict"),
    "recall": ("recall", "strict"),
    "conlleval F1": ("f1", "conlleval"),
}
"""Metric and mode by heading."""
_COSTS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "p50, ms": ("p50_s", milliseconds),
    "p99, ms": ("p99_s", milliseconds),
    "words/s": ("words_per_s", count),
    "load, s": ("load_s", points),
    "memory, MB": ("peak_bytes", megabytes),
    "weights, MB": ("weights_bytes", megabytes),
}
"""Key in `costs`, and format, by heading."""
_LABELS = 12
"""Maximum number of labels with a column."""


class Number(NamedTuple):
    """A score in points, with its interval if it has one."""

    value: float
    low: float | None
    high: float | None
    why: str | None
    """Why there is no interval."""


class Difference(NamedTuple):
    """How a model's F1 differs from its baseline's, in points."""

    points: float
    low: float | None
    high: float | None
    gained: int
    lost: int
    since: str
    """The name of the baseline."""


class LeaderboardRow(NamedTuple):
    """The key numbers of an entry."""

    at: int
    """Its position among the entries, and its key in the page's data."""
    model: str
    artifact: str
    """The first 12 digits of its id."""
    dataset: str
    split: str
    gold: str
    dtype: str
    role: str
    """Empty, `baseline`, or `mean of 3 seeds`."""
    scores: dict[str, Number]
    """By heading."""
    by_label: dict[str, Number]
    """Strict F1 by label."""
    note: str
    """How the predictions were made and read, if this is unusual."""
    n_gold: int | None
    std: float | None
    """Standard deviation over seeds, in points."""
    difference: Difference | None
    trend: Trend | None
    cost: dict[str, Any] | None
    """As in `costs`, if it was measured."""
    on_front: bool | None
    """Whether no other model beats it in F1, latency and memory; None if not all are known."""

    @property
    def place(self) -> str:
        """The data set, with the annotation if it is not the data set's own."""
        return self.dataset if self.dataset == self.gold else f"{self.dataset} against {self.gold}"


class Column(NamedTuple):
    """A column of numbers in the table of scores."""

    heading: str
    value: Callable[[LeaderboardRow], float | None]
    """The number to sort by; None if the entry has none."""
    text: Callable[[float | None], str]


class Leaderboard(NamedTuple):
    """The key numbers of all entries."""

    rows: list[LeaderboardRow]
    labels: list[str]
    first: list[LeaderboardRow]
    """The rows of the first screen: changed ones first, then the best."""
    n_models: int
    confidence: float
    """The confidence level of the intervals."""

    @property
    def columns(self) -> list[Column]:
        """The columns between F1 with its interval and the artifact."""
        return [
            *(Column(name, partial(_score, name), partial(points, digits=2)) for name in [*_SCORES][1:]),
            *(Column(label, partial(_label_score, label), points) for label in self.labels[:_LABELS]),
            Column("since baseline", _change, partial(signed, digits=2)),
            Column("entities", lambda row: row.n_gold, count),
            *(Column(heading, partial(_cost, key), text) for heading, (key, text) in _COSTS.items()),
        ]

    @property
    def n_labels_without_column(self) -> int:
        """Number of labels whose F1 is shown in detail only."""
        return max(0, len(self.labels) - _LABELS)


def build(
    entries: Sequence[ModelScores],
    compared: Mapping[int, Compared],
    judged: Sequence[Row],
    measured: Costs,
    history: History,
) -> Leaderboard:
    """The leaderboard. `compared` is by position of the entry; `judged` are rows of `gate`."""
    found = trends(history)
    intervals = {_judged_key(row): row for row in judged if row["kind"] == "rule" and is_headline(row)}
    bases = {row["baseline_artifact_id"] for row in judged} - {
        row["artifact_id"] for row in judged if row["baseline_artifact_id"]
    }
    rows = [
        _row(at, entry, compared.get(at), intervals.get(_judged_key(entry.about)))._replace(
            role=_role(entry, bases),
            trend=None if entry.about["artifact_id"] in bases else found.get(_series_key(entry.about)),
            cost=measured.by_artifact.get(entry.about["artifact_id"]),
        )
        for at, entry in enumerate(entries)
    ]
    rows = _with_front(rows)
    labels = sorted({label for row in rows for label in row.by_label})
    confidence = next((row["confidence"] for entry in entries if (row := entry.find()) and row["confidence"]), 0.95)
    return Leaderboard(rows, labels, _first(rows), len({row.model for row in rows}), confidence)


def _row(at: int, entry: ModelScores, compared: Compared | None, judged: Row | None) -> LeaderboardRow:
    about = entry.about
    scores = {name: _number(entry.find(metric, mode=mode)) for name, (metric, mode) in _SCORES.items()}
    by_label = {label: _number(entry.find(label=label)) for label in entry.labels}
    headline = entry.find() or {}
    return LeaderboardRow(
        at=at,
        artifact=about["artifact_id"][:12],
        **{name: about[name] for name in ("model", "dataset", "split", "gold", "dtype")},
        role="",
        scores={name: number for name, number in scores.items() if number},
        by_label={label: number for label, number in by_label.items() if number},
        note=_note(headline),
        n_gold=headline.get("n_gold"),
        std=None if headline.get("std") is None else 100 * headline["std"],
        difference=_difference(entry, compared, judged),
        trend=None,
        cost=None,
        on_front=None,
    )


def _note(headline: Row) -> str:
    notes = ["imported predictions: no speed"] if headline.get("kind") == "predictions" else []
    notes += ["tagger"] if headline.get("kind") == "tagger" else []
    if headline.get("label_map"):
        notes.append(", ".join(f"{old} → {new}" for old, new in json.loads(headline["label_map"]).items()))
    if count := headline.get("n_unmapped"):
        types = "type" if count == 1 else "types"
        notes.append(f"{count} {types} of the corpus without a label, which count as missed")
    return "; ".join(notes)


def _number(row: Row | None) -> Number | None:
    if row is None or row["value"] is None:
        return None
    low, high = (None if row[end] is None else 100 * row[end] for end in ("ci_low", "ci_high"))
    return Number(100 * row["value"], low, high, row["reason"] if low is None else None)


def _difference(entry: ModelScores, compared: Compared | None, judged: Row | None) -> Difference | None:
    if compared is None or entry.number() is None or compared.baseline.about["value"] is None:
        return None
    judged = compared.row or judged or {}
    low, high = (None if judged.get(end) is None else 100 * judged[end] for end in ("ci_low", "ci_high"))
    started = compared.baseline.about.get("started_at")
    since = f"the run of {started:%Y-%m-%d}" if started else "the gate's baseline"
    points = 100 * ((entry.number() or 0.0) - compared.baseline.about["value"])
    return Difference(points, low, high, compared.flips.n("gained"), compared.flips.n("lost"), since)


def _role(entry: ModelScores, bases: set[str | None]) -> str:
    if entry.is_mean:
        return f"mean of {entry.about['n_models']} seeds"
    return BASELINE if entry.about["artifact_id"] in bases else ""


def _score(name: str, row: LeaderboardRow) -> float | None:
    return row.scores[name].value if name in row.scores else None


def _label_score(label: str, row: LeaderboardRow) -> float | None:
    return row.by_label[label].value if label in row.by_label else None


def _change(row: LeaderboardRow) -> float | None:
    return row.difference.points if row.difference else None


def _cost(key: str, row: LeaderboardRow) -> float | None:
    return (row.cost or {}).get(key)


def _with_front(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    """Mark the rows on the Pareto front of each split, dtype and annotation, without models that are only baselines."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(rows):
        if row.cost and "F1" in row.scores and row.cost["p50_s"] and row.role != BASELINE:
            groups.setdefault((row.dataset, row.split, row.gold, row.dtype), []).append(at)
    found = list(rows)
    for group in groups.values():
        for at, is_on in zip(group, pareto([_cost_point(rows[at]) for at in group]), strict=True):
            found[at] = found[at]._replace(on_front=is_on)
    return found


def _cost_point(row: LeaderboardRow) -> CostPoint:
    cost = row.cost or {}
    return CostPoint(row.scores["F1"].value, cost["p50_s"], cost["peak_bytes"])


def _first(rows: Sequence[LeaderboardRow]) -> list[LeaderboardRow]:
    def urgency(row: LeaderboardRow) -> tuple[bool, float]:
        moved = row.difference is not None and bool(row.difference.gained or row.difference.lost)
        return not moved, -row.scores["F1"].value if "F1" in row.scores else 0.0

    shown = [row for row in rows if row.dataset == row.gold and row.role != BASELINE] or list(rows)
    chosen = sorted(shown, key=urgency)[:FIRST]
    return [row for row in rows if row in chosen]


def _judged_key(row: Row) -> tuple[str | None, ...]:
    return row["artifact_id"], row["dataset"], row["gold"]


def _series_key(about: Row) -> tuple[str, ...]:
    return tuple(about[name] for name in ("model", "dataset", "split", "gold", "dtype"))
