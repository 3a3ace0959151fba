"""Calling the metrics of a user's own that look at predictions, or at the model.

Metrics of counts are computed beside the built-in ones, by `nerbench.tasks.scoring.score`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.artifacts.errors import pass_interrupts
from nerbench.tasks.configuration.usercode import explain
from nerbench.tasks.custom.predictions import Predictions
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.registry import Metric
from nerbench.tasks.scoring.score import ROW, failed, parameters_of, reason_of, valued, warn_of_failures

if TYPE_CHECKING:
    from nerbench.tasks.inference.loading import Tagger

CUSTOM = "custom"
"""Level and mode of these rows."""
NO_MODEL = "it needs the model, which is not loaded for scoring stored predictions"


def run_custom(
    metrics: Iterable[Metric], predictions: Predictions, load_model: "Callable[[], Tagger] | None" = None
) -> list[Row]:
    """Rows (the columns of `score.ROW`) of the metrics that need predictions or the model; others are left alone.

    Such a metric is called as `f(predictions, **keywords)`, or `f(predictions, model, **keywords)`, for every label
    that it declares (keyword `label`) and every combination of its parameters. It gives a number, None or NaN where it
    is undefined, or several numbers by name: a mapping, each a row `metric.name`. In a mapping of mappings, the names
    are joined, but for those of entity types, which are the rows' labels. If a metric raises or returns anything
    else, its row has the reason, and the other metrics still run. KeyboardInterrupt passes through.

    Args:
        load_model: called once, and only if a metric needs the model; without it such metrics have failed rows.
    """
    chosen = [one for one in metrics if one.needs != "counts"]
    model = _load(load_model) if any(one.needs == "model" for one in chosen) else _Model()
    rows = [
        row
        for one in chosen
        for label in _labels(one, predictions)
        for arguments in one.combinations
        for row in _rows(one, label, arguments, predictions, model)
    ]
    warn_of_failures(rows)
    return rows


class _Model(NamedTuple):
    tagger: "Tagger | None" = None
    trouble: str | None = None
    """Why there is none."""


def _load(load_model: "Callable[[], Tagger] | None") -> _Model:
    if load_model is None:
        return _Model(None, NO_MODEL)
    try:
        return _Model(load_model(), None)
    except BaseException as error:
        pass_interrupts(error)
        return _Model(None, f"the model cannot be loaded: {explain(error)}")


def _labels(one: Metric, predictions: Predictions) -> Sequence[str | None]:
    return (None,) if one.labels is None else predictions.types if one.labels == "all" else one.labels


def _rows(
    one: Metric, label: str | None, arguments: dict[str, Any], predictions: Predictions, model: _Model
) -> list[Row]:
    row = ROW | {
        **{"slice": "all", "level": CUSTOM, "mode": CUSTOM, "label": label or OVERALL, "average": ""},
        "parameters": parameters_of(arguments),
        "source": one.source,
    }
    keywords = arguments | ({} if label is None else {"label": label})
    return [row | value for value in _values(one, keywords, predictions, model)]


def _values(one: Metric, keywords: dict[str, Any], predictions: Predictions, model: _Model) -> Iterator[Row]:
    if one.needs == "model" and model.trouble:
        yield {"metric": one.name} | failed(model.trouble)
        return
    inputs = (predictions, model.tagger) if one.needs == "model" else (predictions,)
    try:
        given = one.compute(*inputs, **keywords)
    except BaseException as error:
        pass_interrupts(error)
        yield {"metric": one.name} | failed(reason_of(error, one.place))
        return
    for name, label, value in numbers(given, one.name, () if one.labels else predictions.types):
        yield {"metric": name} | ({"label": label} if label else {}) | as_row(value, one.undefined)


def numbers(
    given: Any, name: str, types: Sequence[str] = (), label: str | None = None
) -> Iterator[tuple[str, str | None, Any]]:
    """What a function gives, as name, label and number: those of a mapping one by one, as `run_custom` says."""
    if not isinstance(given, Mapping) or not given:
        yield name, label, given
        return
    for key, value in given.items():
        if isinstance(value, Mapping) and label is None and key in types:
            yield from numbers(value, name, types, key)
        else:
            yield from numbers(value, f"{name}.{key}", types, label)


def as_row(given: Any, undefined: str) -> Row:
    """What a row says of what a user's function gave: a number, or None where it is undefined."""
    if isinstance(given, Mapping):
        return failed("it gave an empty mapping")
    if getattr(given, "ndim", None) == 0:  # a number of numpy's or torch's
        given = given.item()
    if not isinstance(given, Real | None):
        return failed(f"it gave {type(given).__name__}, which is no number")
    return valued(math.nan if given is None else float(given), undefined)
