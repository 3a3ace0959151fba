"""Candidate − base, number by number, on the same words and annotation, paired by document.

An interval is that of the paired bootstrap: both models on the same resamples. A p-value is that of the paired
permutation test, which swaps the models' whole documents. The overall value of each metric, slice and mode stands for
itself; its labels are one family, whose p-values are adjusted by Holm's method. What is compared is two artifacts: how
much another seed of the same recipe would differ is not in it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from tasks.scoring.counts import COLUMNS, OVERALL, Counts
from tasks.scoring.intervals import RESAMPLES, UNSTABLE, columns_of, statistics, too_few
from tasks.scoring.metrics import Numbers, Quantity, Row, quantities, summed_columns
from tasks.statistics.bootstrap import left_out
from tasks.statistics.intervals import interval
from tasks.statistics.paired import detectable, holm, p_value, paired_bootstrap, permuted

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
    wanted: Wanted = lambda _: True,
) -> list[Row]:
    """One row an entity-level number that both counts give of the same gold; overall ones first, then those of labels.

    Each with level, mode, slice, label, average, metric; base, candidate, delta; ci_low, ci_high, p_value, p_adjusted,
    detectable (the smallest true difference that this pair of models on this corpus would show with 80 % power, at the
    level of the interval); support and reason (why there is no delta, or no interval).
    """
    return _adjusted([row for pair in _pairs(base, candidate) for row in _rows(pair, seed, confidence, wanted)])


def slices_apart(base: Sequence[Counts], candidate: Sequence[Counts]) -> list[str]:
    """The slices that cannot be compared: only one side has them, or they hold other gold entities on each."""
    compared = {pair.base.slice for pair in _pairs(base, candidate)}
    return sorted({one.slice for one in (*base, *candidate)} - compared)


class _Pair(NamedTuple):
    """Counts of the same gold entities, with the same labels."""

    base: Counts
    candidate: Counts


def _pairs(base: Iterable[Counts], candidate: Iterable[Counts]) -> Iterator[_Pair]:
    others = {_kind(one): one for one in candidate}
    for one in base:
        if one.level == "entity" and (other := others.get(_kind(one))):
            labels = tuple(sorted({*one.labels, *other.labels}))
            pair = _Pair(_with_labels(one, labels), _with_labels(other, labels))
            if np.array_equal(pair.base.column("n_gold"), pair.candidate.column("n_gold")):
                yield pair


def _kind(counts: Counts) -> tuple[str, str, str]:
    return counts.level, counts.mode, counts.slice


def _rows(pair: _Pair, seed: int, confidence: float, wanted: Wanted) -> list[Row]:
    asked = [one for label in {OVERALL: 0, **dict.fromkeys(pair.base.labels)} for one in quantities(pair.base, label)]
    asked = [one for one in asked if wanted(one)]
    if not asked:
        return []
    sums = [columns_of(one).sum(0) for one in pair]
    points = [statistics(asked, pair.base, one) for one in sums]
    defined = [at for at, delta in enumerate(points[1] - points[0]) if not np.isnan(delta)]
    tested = _tested(pair, [asked[at] for at in defined], seed, confidence) if defined else []
    known = dict(zip(defined, tested, strict=True))
    return [
        _row(pair.base, one, _number(before), _number(after), known.get(at))
        for at, (one, before, after) in enumerate(zip(asked, *points, strict=True))
    ]


def _tested(pair: _Pair, asked: Sequence[Quantity], seed: int, confidence: float) -> list[Row]:
    """What resampling says of deltas that are defined."""
    columns = [columns_of(one) for one in pair]

    def delta(sums: Iterable[Numbers]) -> Numbers:
        before, after = (statistics(asked, pair.base, side) for side in sums)
        return after - before

    point = delta(side.sum(0) for side in columns)
    drawn = delta(paired_bootstrap(*columns, seed=seed, n=RESAMPLES))
    low, high = interval(point, drawn, delta(map(left_out, columns)), confidence)
    moved = delta(permuted(*columns, seed=seed, n=PERMUTATIONS))
    found = {
        "delta": point,
        "ci_low": low,
        "ci_high": high,
        "p_value": p_value(point, moved),
        "detectable": detectable(drawn, confidence),
    }
    return [{name: _number(column[at]) for name, column in found.items()} for at in range(len(asked))]


def _with_labels(counts: Counts, labels: tuple[str, ...]) -> Counts:
    """The counts with zeros for labels that they lack."""
    values = np.zeros((len(counts.values), len(labels), len(COLUMNS)), np.int64)
    values[:, [labels.index(label) for label in counts.labels]] = counts.values
    return replace(counts, labels=labels, values=values)


def _row(counts: Counts, one: Quantity, before: float | None, after: float | None, tested: Row | None) -> Row:
    row = dict.fromkeys(("delta", "ci_low", "ci_high", "p_value", "detectable")) | (tested or {})
    reason = too_few(counts, one) if tested else one.metric.undefined
    if reason is None and row["ci_low"] is None:
        reason = UNSTABLE
    support = counts.column("n_gold")[:, summed_columns(one, counts.labels)].sum()
    return {
        **{name: getattr(one, name) for name in ("level", "mode", "slice", "label", "average")},
        "metric": one.metric.name,
        "base": before,
        "candidate": after,
        **row,
        **(dict.fromkeys(("ci_low", "ci_high", "detectable")) if reason else {}),
        "support": int(support),
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
