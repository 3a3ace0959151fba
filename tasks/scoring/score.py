"""Rows of the `metrics` table from counts; `nerbench.tasks.scoring.metrics` defines their numbers."""

import logging
import math
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nerbench.artifacts.errors import pass_interrupts
from nerbench.tasks.config.user_code import explain
from nerbench.tasks.scoring.counts import COLUMNS, OVERALL, Counts
from nerbench.tasks.scoring.entities import MODES
from nerbench.tasks.scoring.metrics import (
    BUILTIN,
    KnownSums,
    Metric,
    Numbers,
    Quantity,
    Row,
    evaluate,
    quantities,
    summed_columns,
)

ROW: Row = dict.fromkeys(
    (
        *("slice", "level", "mode", "label", "average", "metric", "parameters", "source", "value"),
        *("ci_low", "ci_high", "ci_method", "confidence", *COLUMNS, "support", "n_documents", "status", "reason"),
    )
)
"""The columns of the `metrics` table that scoring fills."""
LONGEST_REASON = 300
ROUNDING = 1e-9
"""Tolerance for a share outside 0…1."""
_log = logging.getLogger(__name__)


class Interval(Protocol):
    """A confidence interval and its method, or the reason why there is none."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...
    @property
    def method(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


class Intervals(Protocol):
    """Computes one confidence interval per quantity. It is called several times with the same counts."""

    @property
    def confidence(self) -> float: ...
    def of(self, counts: Counts, quantities: Sequence[Quantity]) -> Sequence[Interval]: ...


def score(
    counts: Iterable[Counts],
    label: str,
    *,
    metrics: Sequence[Metric] = BUILTIN,
    intervals: Intervals | None = None,
) -> list[Row]:
    """All rows (the columns of ROW) of one label, or of `overall`, as listed by `quantities`.

    If a custom metric raises or returns something other than a number, its rows have the reason. The counts of macro
    and weighted rows are the sums over their labels.
    """
    built_in = [one for one in metrics if one.source is None]
    groups = [
        built_in,
        *([one] for one in metrics if one.source is not None),
    ]  # a failing metric does not stop the others
    rows = [row for one in counts for group in groups for row in _rows(one, quantities(one, label, group), intervals)]
    warn_of_failures(rows)
    return rows


def parameters_of(arguments: dict[str, Any]) -> str | None:
    """`k=2, threshold=0.5`; None without parameters."""
    return ", ".join(f"{key}={arguments[key]}" for key in sorted(arguments)) or None


def valued(value: float, undefined: str) -> Row:
    """The columns of a row for a number: NaN is undefined, with the given reason; infinity is a failure."""
    if math.isnan(value):
        return {"value": None, "status": "undefined", "reason": undefined}
    return failed(f"it returned {value}") if math.isinf(value) else {"value": value, "status": "ok", "reason": None}


def reason_of(error: BaseException, place: str) -> str:
    """`ValueError: message (my_metrics.py:7)`, with the last executed line in the file of `place`."""
    file = place.rpartition(":")[0]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    at = f" ({Path(file).name}:{lines[-1]})" if lines else ""
    return explain(error)[: LONGEST_REASON - len(at)] + at


def warn_of_failures(rows: Iterable[Row]) -> None:
    """Log each failure of a metric once."""
    failures = ((row["metric"], row["source"], row["reason"]) for row in rows if row["status"] == "failed")
    for failure in dict.fromkeys(failures):
        _log.warning("metric %s of %s failed: %s", *failure)


def failed(reason: str) -> Row:
    """The columns of a row whose number could not be computed."""
    return {"value": None, "status": "failed", "reason": reason[:LONGEST_REASON]}


def _rows(counts: Counts, wanted: Sequence[Quantity], intervals: Intervals | None) -> list[Row]:
    counts = _of_labels(counts, wanted)
    # With two sums, a function that only takes single numbers fails here, and not only when intervals are computed.
    total = counts.values.sum(0, dtype=np.int64)  # signed: a custom metric may subtract
    sums, n_words = np.stack([total, np.zeros_like(total)]), np.array([counts.n_words.sum(), 0])
    known: KnownSums = {}
    rows = [_row(counts, one, sums) | _value(one, counts.labels, sums, n_words, known) for one in wanted]
    if intervals is not None:
        defined = [at for at, row in enumerate(rows) if row["status"] == "ok"]
        found = _intervals(counts, [wanted[at] for at in defined], intervals)
        for at, interval in zip(defined, found, strict=True):
            rows[at] |= interval
    return rows


def _of_labels(counts: Counts, wanted: Sequence[Quantity]) -> Counts:
    """The counts of the labels that the numbers are about, unless one is about all: the others would only cost time."""
    labels = dict.fromkeys(one.label for one in wanted)
    return counts if not labels.keys() <= {*counts.labels} - {OVERALL} else counts.of_labels(list(labels))


def _row(counts: Counts, quantity: Quantity, sums: Numbers) -> Row:
    summed = dict(zip(COLUMNS, sums[0, summed_columns(quantity, counts.labels)].sum(0).tolist(), strict=True))
    return ROW | {
        **{name: getattr(quantity, name) for name in ("slice", "level", "mode", "label", "average")},
        "metric": quantity.metric.name,
        "parameters": parameters_of(quantity.arguments),
        "source": quantity.metric.source,
        **summed,
        "n_partial": summed["n_partial"] if counts.mode == "partial" else None,
        "n_invalid": summed["n_invalid"] if counts.mode in MODES else None,
        "support": summed["n_gold"],
        "n_documents": counts.units.n_documents,
    }


def _value(quantity: Quantity, labels: Sequence[str], sums: Numbers, n_words: Numbers, known: KnownSums) -> Row:
    try:
        value = float(evaluate(quantity, labels, sums, n_words, known)[0])
    except BaseException as error:
        pass_interrupts(error)
        if quantity.metric.source is None:
            raise
        return failed(reason_of(error, quantity.metric.place))
    if quantity.metric.share and not -ROUNDING <= value <= 1 + ROUNDING and not math.isnan(value):
        return failed(f"it returned {value:g}, but share=True requires 0…1; leave share out")
    return valued(value, quantity.metric.undefined)


def _intervals(counts: Counts, wanted: Sequence[Quantity], intervals: Intervals) -> list[Row]:
    try:
        found = intervals.of(counts, wanted) if wanted else []
    except BaseException as error:
        pass_interrupts(error)
        if any(one.metric.source is None for one in wanted):
            raise
        return [{"reason": f"no interval: {explain(error)}"[:LONGEST_REASON]} for _ in wanted]
    return [
        {"ci_low": one.low, "ci_high": one.high, "ci_method": one.method, "reason": one.reason}
        | ({} if one.low is None else {"confidence": intervals.confidence})
        for one in found
    ]
