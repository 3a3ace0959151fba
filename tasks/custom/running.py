"""Metrics of a user's own: loading the files that define them, and calling those that look at predictions.

Metrics of counts are computed beside the built-in ones, by `nerbench.tasks.scoring.score`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from numbers import Real
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import InputError, pass_interrupts
from nerbench.tasks.configuration.usercode import explain, load_file
from nerbench.tasks.custom.predictions import Predictions
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import BUILTIN, Row
from nerbench.tasks.scoring.registry import Metric, registered
from nerbench.tasks.scoring.score import ROW, failed, parameters_of, reason_of, valued, warn_of_failures

if TYPE_CHECKING:
    from nerbench.tasks.inference.loading import Tagger

CUSTOM = "custom"
"""Level and mode of these rows."""
_collecting = Lock()
NO_MODEL = "it needs the model, which is not loaded for scoring stored predictions"


def collect(paths: Iterable[str | Path]) -> tuple[Metric, ...]:
    """The metrics that Python files define, in their order, each with `source`: `my_metrics.py@<sha256, 12 digits>`.

    Raises:
        InputError: a file is missing, fails, or defines no metric; two metrics have one name, or one has the name of a
            built-in one; a metric is declared wrongly.
    """
    known = {one.name: one for one in BUILTIN}
    found: dict[str, Metric] = {}
    for path in map(Path, paths):
        for one in _collect(path):
            if one.name in known:
                problem = f"the metric {one.name!r} ({one.place}) has the name of a built-in one"
                raise InputError(str(path), problem, "rename it")
            if one.name in found:
                problem = f"two metrics are called {one.name!r}: {found[one.name].place} and {one.place}"
                raise InputError(str(path), problem, "rename one")
            found[one.name] = one
    return tuple(found.values())


def run_custom(
    metrics: Iterable[Metric], predictions: Predictions, load_model: "Callable[[], Tagger] | None" = None
) -> list[Row]:
    """Rows (the columns of `score.ROW`) of the metrics that need predictions or the model; others are left alone.

    Such a metric is called as `f(predictions, **keywords)`, or `f(predictions, model, **keywords)`, for every label
    that it declares (keyword `label`) and every combination of its parameters. It gives a number, None or NaN where it
    is undefined, or several numbers by name: a mapping, each a row `metric.name`. One that raises, or gives anything
    else, has a row that says so, and stops no other; KeyboardInterrupt passes.

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


def _collect(path: Path) -> tuple[Metric, ...]:
    """Every label that is scored asks for them; a file runs once as long as it stays as it is."""
    try:
        digest = sha256_file(path)[:12]
    except OSError:  # which `load_file` explains
        digest = ""
    with _collecting:  # labels are scored side by side
        return _defined(path, digest)


@lru_cache(maxsize=32)
def _defined(path: Path, digest: str) -> tuple[Metric, ...]:
    try:
        module = load_file(path)
    except InputError as error:
        if isinstance(cause := error.__cause__, InputError):  # of the decorator: says itself what is wrong
            raise InputError(f"{path}: {cause.field}", cause.problem, cause.remedy) from error
        raise
    found = tuple(replace(one, source=f"{path.name}@{digest}") for one in registered(vars(module)))
    if not found:
        remedy = 'decorate a function with @metric("its_name") of nerbench.tasks.scoring.registry'
        raise InputError(str(path), "it defines no metric", remedy)
    return found


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
    return [row | {"metric": name} | value for name, value in _named_values(one, keywords, predictions, model)]


def _named_values(
    one: Metric, keywords: dict[str, Any], predictions: Predictions, model: _Model
) -> Iterator[tuple[str, Row]]:
    if one.needs == "model" and model.trouble:
        yield one.name, failed(model.trouble)
        return
    inputs = (predictions, model.tagger) if one.needs == "model" else (predictions,)
    try:
        given = one.compute(*inputs, **keywords)
    except BaseException as error:
        pass_interrupts(error)
        yield one.name, failed(reason_of(error, one))
        return
    if not isinstance(given, Mapping):
        yield one.name, _valued(given, one)
    elif given:
        yield from ((f"{one.name}.{key}", _valued(value, one)) for key, value in given.items())
    else:
        yield one.name, failed("it gave an empty mapping")


def _valued(given: Any, one: Metric) -> Row:
    if getattr(given, "ndim", None) == 0:  # a number of numpy's or torch's
        given = given.item()
    if not isinstance(given, Real | None):
        return failed(f"it gave {type(given).__name__}, which is no number")
    return valued(math.nan if given is None else float(given), one.undefined)
