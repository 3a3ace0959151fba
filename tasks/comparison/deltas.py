"""Candidate − base, number by number, on the same words and annotation, paired by document.

An interval is that of the paired bootstrap: both models on the same resamples. A p-value is that of the paired
permutation test, which swaps the models' whole documents. The overall value of each metric, slice and mode stands for
itself; its labels are one family, whose p-values are adjusted by Holm's method. What is compared is two artifacts: how
much another seed of the same recipe would differ is not in it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from tasks.scoring.counts import COLUMNS, OVERALL, Counts
from tasks.scoring.intervals import RESAMPLES, columns_of, statistics, too_few
from tasks.scoring.metrics import Numbers, Quantity, Row, quantities
from tasks.statistics.bootstrap import left_out, resampled
from tasks.statistics.intervals import interval
from tasks.statistics.paired import detectable, holm, p_values, permuted

PERMUTATIONS = 10_000
FAMILY = ("level", "mode", "slice", "metric")
"""What the labels of one Holm family share."""
Wanted = Callable[[Quantity], bool]


def deltas(
    base: Iterable[Counts],
    candidate: Iterable[Counts],
    *,
    seed: int,
    confidence: float,
    wanted: Wanted = lambda quantity: quantity.level == "entity",
) -> list[Row]:
    """One row a number that both counts give.

    Each with level, mode, slice, label, average, metric; base, candidate, delta; ci_low, ci_high, p_value, p_adjusted,
    detectable (the smallest true difference that this pair of models on this corpus would show with 80 % power, at the
    level of the interval); support and reason (why there is no interval).
    """
    others = {_kind(one): one for one in candidate}
    rows = [
        row for one in base if _kind(one) in others for row in _rows(one, others[_kind(one)], seed, confidence, wanted)
    ]
    return _adjusted(rows)


def _kind(counts: Counts) -> tuple[str, str, str]:
    return counts.level, counts.mode, counts.slice


def _rows(base: Counts, candidate: Counts, seed: int, confidence: float, wanted: Wanted) -> list[Row]:
    labels = tuple(sorted({*base.labels, *candidate.labels}))
    base, candidate = _with_labels(base, labels), _with_labels(candidate, labels)
    asked = [one for label in {OVERALL: 0, **dict.fromkeys(labels)} for one in quantities(base, label) if wanted(one)]
    if not asked or not np.array_equal(base.column("n_gold"), candidate.column("n_gold")):
        return []
    pair = [columns_of(one) for one in (base, candidate)]

    def delta(sums: Sequence[Numbers]) -> Numbers:
        return statistics(asked, base, sums[1]) - statistics(asked, base, sums[0])

    points = [statistics(asked, base, columns.sum(0)) for columns in pair]
    drawn = delta([resampled(columns, seed=seed, n=RESAMPLES) for columns in pair])
    low, high = interval(points[1] - points[0], drawn, delta([left_out(columns) for columns in pair]), confidence)
    p = p_values(points[1] - points[0], delta(permuted(*pair, n=PERMUTATIONS, seed=seed)))
    least = detectable(drawn, confidence)
    numbers = {
        "base": points[0],
        "candidate": points[1],
        "delta": points[1] - points[0],
        "ci_low": low,
        "ci_high": high,
        "p_value": p,
        "detectable": least,
    }
    return [
        _row(base, one, {name: _number(column[i]) for name, column in numbers.items()}) for i, one in enumerate(asked)
    ]


def _with_labels(counts: Counts, labels: tuple[str, ...]) -> Counts:
    """The counts with zeros for labels that they lack."""
    values = np.zeros((len(counts.values), len(labels), len(COLUMNS)), np.int64)
    values[:, [labels.index(label) for label in counts.labels]] = counts.values
    return replace(counts, labels=labels, values=values)


def _row(counts: Counts, one: Quantity, numbers: Row) -> Row:
    undefined = one.metric.undefined if numbers["delta"] is None else None
    reason = undefined or too_few(counts, one)
    gold = counts.column("n_gold").sum(0)
    return {
        **{name: getattr(one, name) for name in ("level", "mode", "slice", "label", "average")},
        "metric": one.metric.name,
        **numbers,
        **(dict.fromkeys(("ci_low", "ci_high", "detectable")) if reason else {}),
        "support": int(gold.sum() if one.label == OVERALL else gold[counts.labels.index(one.label)]),
        "reason": reason,
    }


def _adjusted(rows: list[Row]) -> list[Row]:
    """With `p_adjusted`: the p-value itself for overall values, Holm's within each family of labels."""
    adjusted = [row | {"p_adjusted": row["p_value"]} for row in rows if row["label"] == OVERALL]
    labelled = sorted((row for row in rows if row["label"] != OVERALL), key=_family)
    for _, group in groupby(labelled, key=_family):
        family = list(group)
        found = holm(np.array([np.nan if row["p_value"] is None else row["p_value"] for row in family]))
        adjusted += [row | {"p_adjusted": _number(p)} for row, p in zip(family, found, strict=True)]
    return adjusted


def _family(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in FAMILY)


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
