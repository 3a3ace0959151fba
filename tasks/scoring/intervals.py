"""Confidence intervals of numbers made of counts: the bootstrap of `tasks.statistics` over documents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.scoring.counts import COLUMNS, Counts
from tasks.scoring.metrics import Numbers, Quantity, evaluate
from tasks.statistics.bootstrap import left_out, resampled
from tasks.statistics.intervals import METHOD, interval, too_small

RESAMPLES = 1000
UNSTABLE = "undefined in too many resamples for an interval"


class Found(NamedTuple):
    """An interval, or why there is none."""

    low: float | None
    high: float | None
    reason: str | None


class BootstrapIntervals:
    """Intervals of the numbers of one model on one corpus.

    The resamples depend on the corpus alone, so that all labels, modes and models of it share them. All counts are
    summed over them together: to draw them takes longer than to sum.
    """

    method = METHOD

    def __init__(self, counts: Sequence[Counts], *, seed: int, confidence: float) -> None:
        """`counts`: all that numbers are made of, of the same units."""
        self.confidence = confidence
        columns = [columns_of(one) for one in counts]
        ends = np.cumsum([one.shape[1] for one in columns])
        drawn = resampled(np.hstack(columns), seed=seed, n=RESAMPLES)
        self._drawn = dict(zip(counts, np.split(drawn, ends[:-1], axis=1), strict=True))

    def of(self, counts: Counts, quantities: Sequence[Quantity]) -> list[Found]:
        """One interval a quantity, which must have a value."""
        columns = columns_of(counts)
        point, drawn, without = (
            statistics(quantities, counts, sums) for sums in (columns.sum(0), self._drawn[counts], left_out(columns))
        )
        low, high = interval(point, drawn, without, self.confidence)
        return [
            _found(low[at], high[at], too_few(counts, one, varies=low[at] != high[at]))
            for at, one in enumerate(quantities)
        ]


def columns_of(counts: Counts) -> Numbers:
    """(units, labels × 5 + 1): all counts of a unit in one row, its words last."""
    return np.column_stack([counts.values.reshape(len(counts.values), -1), counts.n_words])


def statistics(quantities: Sequence[Quantity], counts: Counts, sums: Numbers) -> Numbers:
    """(..., quantities) from sums (..., labels × 5 + 1) of `columns_of`."""
    values = sums[..., :-1].reshape(*sums.shape[:-1], len(counts.labels), len(COLUMNS))
    return np.stack([evaluate(one, counts.labels, values, sums[..., -1]) for one in quantities], axis=-1)


def too_few(counts: Counts, quantity: Quantity, *, varies: bool = True) -> str | None:
    """Why a number rests on too little for an interval; None where it does not."""
    at = [i for i, label in enumerate(counts.labels) if label == quantity.label]
    n_gold = counts.column("n_gold")[:, at or slice(None)].sum(1)
    n_units = int(np.count_nonzero(n_gold))
    return too_small(int(n_gold.sum()), n_units, unit=counts.units.kind, varies=varies)


def _found(low: float, high: float, reason: str | None) -> Found:
    if reason or np.isnan(low) or np.isnan(high):
        return Found(None, None, reason or UNSTABLE)
    return Found(float(low), float(high), None)
