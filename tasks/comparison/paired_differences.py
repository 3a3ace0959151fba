"""Differences candidate − base of all numbers, on the same words and annotation, paired by document, with verdicts.

Numbers that are decided together share one correction: the rules of a gate for one model, or those of `compare`.

If the entities of a number occur in fewer than 20 documents, the number is paired by sentence, provided that the counts
by sentence are given. The interval is that of the paired bootstrap, with both models on the same resamples. The p-value
is that of the paired permutation test, which swaps whole units of the two models. The overall value of each metric,
slice and mode is tested alone; its labels are one family, whose p-values are adjusted by Holm's method. The comparison
is between two artifacts: it does not cover how much another seed of the same recipe would differ.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from nerbench.tasks.scoring.counts import COLUMNS, OVERALL, Counts
from nerbench.tasks.scoring.metrics import Numbers, Quantity, Row, quantities, summed_columns
from nerbench.tasks.scoring.score_intervals import RESAMPLES, UNSTABLE, columns_of, statistics
from nerbench.tasks.statistics.confidence_intervals import MIN_UNITS, too_small
from nerbench.tasks.statistics.paired_tests import Clusters, Resampling, assess, design_effect, holm
from nerbench.tasks.statistics.verdicts import Difference, verdict

PERMUTATIONS = 10_000
FAMILY = ("level", "mode", "slice", "metric")
"""The columns that the labels of one Holm family share."""
TESTED = ("delta", "ci_low", "ci_high", "p_value", "detectable")
Wanted = Callable[[Quantity], bool]


def deltas(
    base: Iterable[Counts],
    candidate: Iterable[Counts],
    *,
    seed: int,
    confidence: float,
    wanted: Wanted = lambda _: True,
) -> list[Row]:
    """One row per entity-level number that both counts give for the same gold; overall numbers first, then labels.

    Columns: level, mode, slice, label, average, metric; base, candidate, delta; ci_low, ci_high, p_value, p_adjusted;
    detectable (the smallest true difference that would be found for this pair of models on this corpus with 80 % power,
    at the level of the interval); support; unit (`document` or `sentence`: the unit of resampling and swapping); and
    reason (why there is no delta or no interval).
    """
    return _adjusted([row for pairs in _pairs(base, candidate) for row in _rows(pairs, seed, confidence, wanted)])


def slices_apart(base: Sequence[Counts], candidate: Sequence[Counts]) -> list[str]:
    """The slices that cannot be compared: only one side has them, or their gold entities differ."""
    compared = {pairs.by_document.base.slice for pairs in _pairs(base, candidate)}
    return sorted({one.slice for one in (*base, *candidate)} - compared)


class _Pair(NamedTuple):
    """Two counts of the same gold entities, with the same labels."""

    base: Counts
    candidate: Counts


class _Pairs(NamedTuple):
    """The pairs of one level, mode and slice."""

    by_document: _Pair
    """By sentence if the corpus has no documents."""
    by_sentence: _Pair
    """By document if there are no counts by sentence."""

    def of(self, quantity: Quantity) -> _Pair:
        """The pair by document if enough documents have entities that the number is about, otherwise the pair by
        sentence."""
        enough = np.count_nonzero(_n_gold(self.by_document, quantity)) >= MIN_UNITS
        return self.by_document if enough else self.by_sentence


def _pairs(base: Iterable[Counts], candidate: Iterable[Counts]) -> Iterator[_Pairs]:
    others = {_kind(one): one for one in candidate}
    found: dict[tuple[str, str, str], list[_Pair]] = {}
    for one in base:
        if one.level == "entity" and (other := others.get(_kind(one))):
            labels = tuple(sorted({*one.labels, *other.labels}))
            pair = _Pair(_with_labels(one, labels), _with_labels(other, labels))
            if np.array_equal(pair.base.column("n_gold"), pair.candidate.column("n_gold")):
                found.setdefault((one.level, one.mode, one.slice), []).append(pair)
    yield from (_Pairs(pairs[0], pairs[-1]) for pairs in found.values())


def _kind(counts: Counts) -> tuple[str, ...]:
    return counts.level, counts.mode, counts.slice, counts.units.kind


def _rows(pairs: _Pairs, seed: int, confidence: float, wanted: Wanted) -> list[Row]:
    counts = pairs.by_document.base
    chosen = [one for label in {OVERALL: 0, **dict.fromkeys(counts.labels)} for one in quantities(counts, label)]
    chosen = [one for one in chosen if wanted(one)]
    if not chosen:
        return []
    points = [statistics(chosen, counts, columns_of(one).sum(0)) for one in pairs.by_document]
    defined = [one for one, delta in zip(chosen, points[1] - points[0], strict=True) if not np.isnan(delta)]
    known: dict[int, Row] = {}
    for pair in pairs if pairs.by_document is not pairs.by_sentence else pairs[:1]:
        if mine := [one for one in defined if pairs.of(one) is pair]:
            known |= zip(map(id, mine), _tested(pair, mine, seed, confidence), strict=True)
    return [
        _row(pairs.of(one), one, _number(before), _number(after), known.get(id(one)))
        for one, before, after in zip(chosen, *points, strict=True)
    ]


def _tested(pair: _Pair, chosen: Sequence[Quantity], seed: int, confidence: float) -> list[Row]:
    """The results of resampling for deltas that are defined (`nerbench.tasks.statistics.paired_tests`)."""
    columns = [columns_of(one).astype(np.float64) for one in pair]

    def delta(sums: Iterable[Numbers]) -> Numbers:
        before, after = (statistics(chosen, pair.base, side) for side in sums)
        return after - before

    clusters = None
    if (documents := pair.base.documents) is not None:
        n_gold = [_n_gold(pair, one) for one in chosen]
        effect = np.array([design_effect(np.bincount(documents, one)) for one in n_gold])
        clusters = Clusters(effect, [np.count_nonzero(one) for one in n_gold])
    found = assess(columns[0], columns[1], delta, Resampling(seed, RESAMPLES, PERMUTATIONS, confidence), clusters)
    return [dict(zip(TESTED, map(_number, one), strict=True)) for one in zip(*found, strict=True)]


def _n_gold(pair: _Pair, quantity: Quantity) -> Numbers:
    """(units,) gold entities that a number is about."""
    n_gold: Numbers = pair.base.column("n_gold")[:, summed_columns(quantity, pair.base.labels)].sum(1)
    return n_gold


def _with_labels(counts: Counts, labels: tuple[str, ...]) -> Counts:
    """The counts with zeros for missing labels."""
    values = np.zeros((len(counts.values), len(labels), len(COLUMNS)), np.int64)
    values[:, [labels.index(label) for label in counts.labels]] = counts.values
    return replace(counts, labels=labels, values=values)


def _row(pair: _Pair, one: Quantity, before: float | None, after: float | None, found: Row | None) -> Row:
    row = dict.fromkeys(TESTED) | (found or {})
    n_gold, unit = _n_gold(pair, one), pair.base.units.kind
    support = int(n_gold.sum())
    reason = too_small(support, int(np.count_nonzero(n_gold)), unit=unit) if found else one.metric.undefined
    if reason is None and row["ci_low"] is None:
        reason = UNSTABLE
    return {
        **{name: getattr(one, name) for name in ("level", "mode", "slice", "label", "average")},
        "metric": one.metric.name,
        "base": before,
        "candidate": after,
        **row,
        **(dict.fromkeys(("ci_low", "ci_high", "detectable")) if reason else {}),
        "support": support,
        "unit": unit if found else None,
        "reason": reason,
    }


def _adjusted(rows: list[Row]) -> list[Row]:
    """Add `p_adjusted`: the p-value itself for overall values, Holm's adjustment within each family of labels."""
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


def decided(rows: Sequence[Row], confidence: float) -> list[Row]:
    """Add `p_adjusted` (Holm's method over all rows with a p-value), and `verdict` to the rows that have none.

    Args:
        rows: With delta, ci_low, ci_high and p_value as in `deltas`, and margin. Rows whose verdict is None get one.
    """
    p = holm([np.nan if row["p_value"] is None else row["p_value"] for row in rows])
    return [_decided(row, float(adjusted), confidence) for row, adjusted in zip(rows, p, strict=True)]


def _decided(row: Row, p: float, confidence: float) -> Row:
    adjusted = row | {"p_adjusted": None if np.isnan(p) else p}
    if row["verdict"] is not None:
        return adjusted
    if row["delta"] is None:
        return adjusted | {"verdict": "undecided"}
    found = Difference(row["delta"], row["ci_low"], row["ci_high"], p)
    return adjusted | {"verdict": verdict(found, margin=row["margin"], confidence=confidence)}
