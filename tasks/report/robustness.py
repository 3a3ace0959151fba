"""The robustness in a report: the drop of each model on perturbed words, and the duration of the measurement."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nerbench.tasks.results.query import SelectedRun
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row

_SAME = ("artifact_id", "dataset", "split", "dtype", "perturbation")


class Drop(NamedTuple):
    """One model on one perturbation of one data set. Scores and differences are in points."""

    model: str
    place: str
    """The data set."""
    perturbation: str
    clean: float | None
    perturbed: float | None
    delta: float | None
    """perturbed − clean"""
    low: float | None
    high: float | None
    p: float | None
    """Adjusted for the other perturbations."""
    reason: str | None
    """Why there is no difference or no interval."""
    by_label: dict[str, float | None]
    """`delta` by entity type."""
    changed_words: int
    evaluate_s: float | None


class Robustness(NamedTuple):
    """All drops that a page shows."""

    drops: list[Drop]
    """By data set, model and perturbation."""
    labels: list[str]
    seconds: float | None
    """Duration of the measurement in the runs, without the clean split; None if it is unknown."""


def read_robustness(rows: Sequence[Row], runs: Sequence[SelectedRun]) -> Robustness:
    """The rows of `robustness` of some runs; if several runs measured the same, those of the newest."""
    newest: dict[tuple[Any, ...], str] = {}
    for run in runs:
        for row in (row for row in rows if row["run_id"] == run.run_id):
            newest.setdefault(_same(row), run.run_id)
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        if newest.get(_same(row)) == row["run_id"]:
            found.setdefault(_same(row), {})[row["label"]] = row
    drops = [_drop(of) for of in found.values() if OVERALL in of]
    seconds = [run.row["robustness_s"] for run in runs if run.row.get("robustness_s") is not None]
    return Robustness(
        drops=sorted(drops, key=lambda one: (one.place, one.model)),
        labels=sorted({label for one in drops for label in one.by_label}),
        seconds=sum(seconds) if seconds else None,
    )


def plain_drops(robustness: Robustness) -> list[dict[str, Any]]:
    """The drops as the chart reads them."""
    names = ("model", "place", "perturbation", "clean", "perturbed", "delta", "low", "high", "p")
    return [{name: getattr(one, name) for name in names} for one in robustness.drops]


def _same(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _SAME)


def _drop(by_label: dict[str, Row]) -> Drop:
    row = by_label[OVERALL]
    return Drop(
        model=row["model"],
        place=row["dataset"],
        perturbation=row["perturbation"],
        clean=_points(row["clean"]),
        perturbed=_points(row["perturbed"]),
        delta=_points(row["delta"]),
        low=_points(row["ci_low"]),
        high=_points(row["ci_high"]),
        p=row["p_adjusted"],
        reason=row["reason"],
        by_label={label: _points(one["delta"]) for label, one in by_label.items() if label != OVERALL},
        changed_words=row["changed_words"] or 0,
        evaluate_s=row["evaluate_s"],
    )


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share
