"""Custom metrics: the predictions that they get, how they are called, and metrics of the library `evaluate`.

`nerbench.tasks.scoring.score` computes custom metrics over counts together with the built-in ones. nerbench loads
`evaluate` scripts like other custom code, not by `evaluate.load`, which downloads missing files from the Hub and
imports from URLs that a script names. `import evaluate` takes 6 to 9 s and 500 MB.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from nerbench.artifacts.errors import InputError, pass_interrupts
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.config import EvaluateMetric
from nerbench.tasks.config.user_code import explain
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.entities import Codes, extract
from nerbench.tasks.scoring.metrics import Metric, Row
from nerbench.tasks.scoring.score import ROW, failed, parameters_of, reason_of, valued, warn_of_failures
from nerbench.tasks.scoring.tagged_words import TaggedWords, lowest_scores

if TYPE_CHECKING:
    from nerbench.tasks.inference.loaded_model import LoadedModel


SCHEMA = pa.schema(
    {
        "document": pa.int32(),
        "sentence": pa.int32(),
        "word": pa.int32(),
        "text": pa.string(),
        "gold_tag": pa.dictionary(pa.int32(), pa.string()),
        "pred_tag": pa.dictionary(pa.int32(), pa.string()),
        "score": pa.float32(),
    }
)


class TaggedEntity(NamedTuple):
    """An entity of the annotation or of the predictions."""

    document: int | None
    """Number of its document in the split, from 0; None without boundaries."""
    sentence: int
    """Number of its sentence in the split, from 0."""
    start: int
    """Number of its first word in the split, from 0."""
    end: int
    """Number of the word after its last one."""
    type: str
    text: str | None
    """Its words, with spaces between them; None if text was not kept."""
    score: float | None
    """The lowest score of its words, because the entity is no more certain than that word; None if unknown, and in the
    annotation."""


class Identity(NamedTuple):
    """The identity of predictions."""

    model: str
    """The name of the model in the run."""
    artifact_id: str
    """sha256 of the model's manifest."""
    dataset: str
    gold: str
    """The annotation: the dataset's name, or one of `golds`."""
    split: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """One model's predictions on one split against one annotation. Everything is read on first use."""

    identity: Identity
    types: tuple[str, ...]
    """Entity types of annotation and predictions, sorted."""
    parts: Callable[[], Iterable[TaggedWords]]
    """The same words part by part, for a metric that must not hold a large corpus in memory."""

    @cached_property
    def table(self) -> pa.Table:
        """One row per word (SCHEMA): document (null without boundaries), sentence and word, numbered from 0 over the
        split; text is null if it was not kept, and score (probability of the predicted tag) if it is unknown."""
        return pa.concat_tables([_table(part) for part in self.parts()] or [SCHEMA.empty_table()]).unify_dictionaries()

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame, tags as categories."""
        return self.table.to_pandas()

    @cached_property
    def gold(self) -> tuple[TaggedEntity, ...]:
        """The annotation's entities in order, decoded as in the mode `strict`."""
        return tuple(entity for part in self.parts() for entity in _entities(part, part.gold, scored=False))

    @cached_property
    def predicted(self) -> tuple[TaggedEntity, ...]:
        """The predicted entities in order, decoded as in the mode `strict`."""
        return tuple(entity for part in self.parts() for entity in _entities(part, part.predicted, scored=True))


def _table(part: TaggedWords) -> pa.Table:
    vocabulary = pa.array(tag_vocabulary(part.types))
    n_words = len(part.gold)
    columns: dict[str, Any] = {
        "document": pa.nulls(n_words) if part.document is None else part.document,
        "sentence": part.sentence,
        "word": np.arange(part.first_word, part.first_word + n_words),
        "text": pa.nulls(n_words) if part.text is None else part.text,
        "gold_tag": pa.DictionaryArray.from_arrays(part.gold, vocabulary),
        "pred_tag": pa.DictionaryArray.from_arrays(part.predicted, vocabulary),
        "score": pa.nulls(n_words) if part.score is None else pa.array(part.score, from_pandas=True),
    }
    return pa.table(columns).cast(SCHEMA)


def _entities(part: TaggedWords, codes: Codes, *, scored: bool) -> Iterator[TaggedEntity]:
    found = extract(codes, part.sentence_starts, "strict")
    texts = None if part.text is None else part.text.to_pylist()
    scores = lowest_scores(part, found.start, found.end).tolist() if scored else [math.nan] * len(found.start)
    columns = (found.start.tolist(), found.end.tolist(), found.type.tolist(), scores)
    for start, end, kind, score in zip(*columns, strict=True):
        yield TaggedEntity(
            document=None if part.document is None else int(part.document[start]),
            sentence=int(part.sentence[start]),
            start=part.first_word + start,
            end=part.first_word + end,
            type=part.types[kind],
            text=None if texts is None else " ".join(texts[start:end]),
            score=None if math.isnan(score) else score,
        )


CUSTOM = "custom"
"""Level and mode of these rows."""
NO_MODEL = "it needs the model, which is not loaded for scoring stored predictions"


def run_custom(
    metrics: Iterable[Metric], predictions: Predictions, load_model: "Callable[[], LoadedModel] | None" = None
) -> list[Row]:
    """Rows (the columns of `score.ROW`) of the metrics that need predictions or the model; other metrics are ignored.

    Such a metric is called as `f(predictions, **keywords)`, or `f(predictions, model, **keywords)`, for every label
    that it declares (keyword `label`) and every combination of its parameters. It returns a number; None or NaN if it
    is undefined; or several numbers by name: a mapping, in which each gives a row `metric.name`. In a mapping of
    mappings, the names are joined, except names of entity types, which become the labels of the rows. If a metric
    raises or returns anything else, its row has the reason, and the other metrics still run. KeyboardInterrupt passes
    through.

    Args:
        load_model: Called once, and only if a metric needs the model. Without it, such metrics have failed rows.
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
    tagger: "LoadedModel | None" = None
    trouble: str | None = None
    """Why there is no model."""


def _load(load_model: "Callable[[], LoadedModel] | None") -> _Model:
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
    """The result of a function as name, label and number; a mapping has several, as `run_custom` describes."""
    if not isinstance(given, Mapping) or not given:
        yield name, label, given
        return
    for key, value in given.items():
        if isinstance(value, Mapping) and label is None and key in types:
            yield from numbers(value, name, types, key)
        else:
            yield from numbers(value, f"{name}.{key}", types, label)


def as_row(given: Any, undefined: str) -> Row:
    """The columns of a row for the result of a custom function: a number, or None if it is undefined."""
    if isinstance(given, Mapping):
        return failed("it returned an empty mapping")
    if getattr(given, "ndim", None) == 0:  # a number of numpy or torch
        given = given.item()
    if not isinstance(given, Real | None):
        return failed(f"it returned {type(given).__name__}, which is not a number")
    return valued(math.nan if given is None else float(given), undefined)


def evaluate_metric(module: ModuleType, config: EvaluateMetric) -> Metric:
    """The metric of a loaded script. It gets all sentences, and the arguments of the configuration.

    The script's `features` determine the form of the tags: text or numbers (`O` is 0), one list per sentence or one
    flat list. Raises InputError unless the script defines exactly one `evaluate.Metric`.
    """
    from evaluate import Metric as Evaluated

    classes: list[Any] = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Evaluated)]
    own = [one for one in classes if one.__module__ == module.__name__]
    if len(own) != 1:
        problem = f"defines {len(own)} classes of evaluate.Metric"
        raise InputError(config.evaluate, problem, "name a script that defines one")

    @wraps(own[0]._compute)
    def compute(predictions: Predictions, **arguments: Any) -> Any:
        with scratch_folder() as cache:
            metric = own[0](cache_dir=str(cache))
            metric.download_and_prepare()
            for part in predictions.parts():
                metric.add_batch(**_batch(metric.features, part))
            return metric.compute(**arguments)

    return Metric(
        name=config.name or Path(config.evaluate).stem,
        compute=compute,
        tags=("evaluate",),
        parameters={name: [value] for name, value in config.arguments.items()},
    )


def _batch(features: Any, part: TaggedWords) -> dict[str, Any]:
    """The arguments of `add_batch` for some sentences, in the first of several alternative forms."""
    wanted = features[0] if isinstance(features, list) else features
    codes = {"predictions": part.predicted, "references": part.gold}
    if further := sorted(set(wanted) - set(codes)):
        raise ValueError(f"it needs {', '.join(further)}; nerbench gives predictions and references only")
    return {name: _given(wanted[name], codes[name], part) for name in codes}


def _given(feature: Any, codes: Codes, part: TaggedWords) -> Any:
    """Tags in the form of a feature: one list, or one list per sentence."""
    by_sentence = hasattr(feature, "feature")
    dtype = str(getattr(feature.feature if by_sentence else feature, "dtype", None))
    if dtype != "string" and "int" not in dtype:
        raise ValueError(f"it needs {feature}; nerbench gives tags as text or whole numbers")
    tags = codes if "int" in dtype else np.array(tag_vocabulary(part.types), object)[codes]
    if not by_sentence:
        return tags.tolist()
    return [sentence.tolist() for sentence in np.split(tags, np.flatnonzero(part.sentence_starts)[1:])]
