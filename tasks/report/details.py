"""What a report shows of one entry: labels, modes, slices, confusion, calibration, as plain values."""

from typing import Any

from nerbench.tasks.publishing.numbers import MODES
from nerbench.tasks.report.entries import Entry
from nerbench.tasks.report.stored import StoredTable
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.slicing.slices import EVERYTHING

Plain = dict[str, Any]
METRICS = ("precision", "recall", "f1")
CONFIDENCE = ("ece_equal_mass", "ece_equal_width", "brier", "aurc")


def number(row: Row | None) -> Plain | None:
    """A score for the page: `v` with `lo` and `hi`, rounded to a thousandth of a point; `why` where there is none."""
    if row is None:
        return None
    found = {"v": _rounded(row["value"]), "lo": _rounded(row["ci_low"]), "hi": _rounded(row["ci_high"])}
    found |= {"n": row["n_gold"], "why": row["reason"] if row["value"] is None or row["ci_low"] is None else None}
    return {name: value for name, value in found.items() if value is not None}


def details(entry: Entry) -> Plain:
    """The numbers of an entry that come from `metrics`."""
    return {
        "labels": {label: _scores(entry, label=label) for label in (OVERALL, *entry.labels)},
        "averages": {name: _scores(entry, average=name) for name in ("micro", "macro", "weighted")},
        "modes": {mode: _scores(entry, mode=mode) for mode in MODES if entry.find(mode=mode)},
        "slices": {part: _slice(entry, part) for part in _slices(entry)},
        "confidence": {
            label: {name: number(entry.find(name, label=label)) for name in CONFIDENCE if entry.find(name, label=label)}
            for label in (OVERALL, *entry.labels)
        },
        "accuracy": number(entry.find("accuracy", level="token", mode="tag")),
        "n_invalid": (entry.find() or {}).get("n_invalid"),
        "n_documents": (entry.find() or {}).get("n_documents"),
    }


def confusion(table: StoredTable, entry: Entry) -> list[Plain]:
    """Types against types: `gold`, `pred` (`O` where there is none), `boundaries` and how many."""
    rows = table.rows(entry, ("gold_label", "pred_label", "boundaries", "n")).to_pylist()
    return [
        {"gold": row["gold_label"], "pred": row["pred_label"], "boundaries": row["boundaries"], "n": row["n"] or 0}
        for row in rows
    ]


def calibration(table: StoredTable, entry: Entry) -> Plain:
    """By label: `bins` of (confidence, accuracy, entities), and the risk–coverage `curve` of (coverage, risk, from)."""
    columns = ("kind", "label", "position", "low", "coverage", "n", "mean_confidence", "accuracy")
    found: Plain = {}
    for row in sorted(table.rows(entry, columns).to_pylist(), key=lambda row: row["position"]):
        if row["accuracy"] is None:
            continue
        curves = found.setdefault(row["label"], {"bins": [], "curve": []})
        if row["kind"] == "bin":
            curves["bins"].append([*(_rounded(row[name]) for name in ("mean_confidence", "accuracy")), row["n"]])
        else:
            curves["curve"].append([_rounded(row["coverage"]), _rounded(1 - row["accuracy"]), _rounded(row["low"])])
    return found


def _scores(entry: Entry, **wanted: str) -> Plain:
    found = {metric: number(row) for metric in METRICS if (row := entry.find(metric, **wanted))}
    row = entry.find("f1", **wanted) or {}
    return found | {name: row[name] for name in ("tp", "n_pred", "n_gold") if row.get(name) is not None}


def _slices(entry: Entry) -> list[str]:
    return [part for part in entry.values("slice", level="entity", mode="strict") if part != EVERYTHING]


def _slice(entry: Entry, part: str) -> Plain:
    by_label = {label: number(row) for label in entry.labels if (row := entry.find(slice=part, label=label))}
    overall = entry.find(slice=part) or next((row for row in entry.rows if row["slice"] == part), None)
    return _scores(entry, slice=part) | {"f1": number(overall), "by_label": by_label}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
