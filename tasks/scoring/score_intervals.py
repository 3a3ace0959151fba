"""Confidence intervals of numbers from counts, by the methods of `nerbench.tasks.statistics` over documents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nerbench.tasks.scoring.counts import COLUMNS, Counts
from nerbench.tasks.scoring.metrics import KnownSums, Numbers, Quantity, evaluate, ratio, summed_columns
from nerbench.tasks.statistics.confidence_intervals import symmetric, too_small, wilson
from nerbench.tasks.statistics.resampling import Floats, Unit, left_out

WILSON, SYMMETRIC = "wilson-jackknife", "jackknife-t"
"""The names of the methods in result tables: for shares, and for metrics that are not declared as shares."""
RESAMPLES = 1000
UNSTABLE = "undefined in too many resamples for an interval"


class Found(NamedTuple):
    """An interval and its method, or the reason why there is none."""

    low: float | None
    high: float | None
    method: str | None
    reason: str | None


class JackknifeIntervals:
    """Intervals of the numbers of one model on one corpus."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def of(self, counts: Counts, quantities: Sequence[Quantity]) -> list[Found]:
        """One interval per quantity, which must have a value."""
        point = statistics(quantities, counts, columns_of(counts).sum(0))
        without = statistics(quantities, counts, left_out(columns_of(counts)))
        weights = {(one.label, one.average, one.metric.all_tags): one for one in quantities}
        of_units = {key: unit_shares(one, counts) for key, one in weights.items()}
        shares = np.stack([of_units[one.label, one.average, one.metric.all_tags] for one in quantities], axis=-1)
        reasons = {label: too_few(counts, one) for (label, _, _), one in weights.items()}
        methods = {one.metric.share for one in quantities}
        ends = {share: (wilson if share else symmetric)(point, without, shares, self.confidence) for share in methods}
        return [
            _found(
                low=ends[one.metric.share].low[at],
                high=ends[one.metric.share].high[at],
                method=WILSON if one.metric.share else SYMMETRIC,
                reason=reasons[one.label],
                unit=counts.units.kind,
            )
            for at, one in enumerate(quantities)
        ]


def columns_of(counts: Counts) -> Numbers:
    """(units, labels × 5 + 1): all counts of a unit in one row, its number of words last."""
    return np.column_stack([counts.values.reshape(len(counts.values), -1), counts.n_words])


def statistics(quantities: Sequence[Quantity], counts: Counts, sums: Numbers) -> Numbers:
    """(..., quantities) from sums (..., labels × 5 + 1) of `columns_of`."""
    values = sums[..., :-1].reshape(*sums.shape[:-1], len(counts.labels), len(COLUMNS))
    known: KnownSums = {}
    return np.stack([evaluate(one, counts.labels, values, sums[..., -1], known) for one in quantities], axis=-1)


def unit_shares(quantity: Quantity, counts: Counts) -> Floats:
    """(units,) the weight of each unit in a number: its share of the gold and predicted entities.

    An average over labels averages the shares of its labels.
    """
    chosen = summed_columns(quantity, counts.labels)
    gold, predicted = (counts.column(name)[:, chosen] for name in ("n_gold", "n_pred"))
    size = gold + predicted
    match quantity.average:
        case "macro":
            weights = size.any(axis=0).astype(np.int64)
        case "weighted":
            weights = gold.sum(axis=0)
        case _:
            weights = size.sum(axis=0)
    shares = np.nan_to_num(ratio(size, size.sum(axis=0)))
    found: Floats = np.nan_to_num(ratio((shares * weights).sum(axis=1), np.asarray(weights.sum())))
    return found


def too_few(counts: Counts, quantity: Quantity) -> str | None:
    """Why a number has too few entities or units for an interval; None if it has enough."""
    at = [i for i, label in enumerate(counts.labels) if label == quantity.label]
    n_gold = counts.column("n_gold")[:, at or slice(None)].sum(1)
    n_units = int(np.count_nonzero(n_gold))
    return too_small(int(n_gold.sum()), n_units, unit=counts.units.kind)


def _found(low: float, high: float, method: str, reason: str | None, unit: Unit) -> Found:
    if reason is None and (np.isnan(low) or np.isnan(high)):
        reason = f"no interval: undefined without one of the {unit}s"
    return Found(None, None, None, reason) if reason else Found(float(low), float(high), method, None)
