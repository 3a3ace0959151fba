"""Scores of stored predictions by custom metrics, and calls of custom benchmark functions.

A function gets handles that are loaded when it asks for them, and evicted at the end.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.artifacts.errors import pass_interrupts
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import materialise
from nerbench.tasks.analysis.analysis import calibration_rows
from nerbench.tasks.analysis.calibration import calibration
from nerbench.tasks.config import Config
from nerbench.tasks.config.user_code import explain
from nerbench.tasks.data.corpus_refs import CorpusRef, open_corpus
from nerbench.tasks.inference.evaluation_key import settings_of
from nerbench.tasks.inference.tagger_handles import tagger_handle
from nerbench.tasks.scoring.benchmark_functions import BenchmarkFunction, State
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import failed, parameters_of, reason_of, score
from nerbench.tasks.scoring.score_intervals import JackknifeIntervals
from nerbench.tasks.scoring.score_predictions import (
    missing_slices,
    missing_tokens,
    selected_functions,
    selected_metrics,
)
from nerbench.tasks.scoring.stored_predictions import Predicted, count_stored, read_predictions
from nerbench.tasks.scoring.user_metrics import Identity, Predictions, as_row, numbers, run_custom

if TYPE_CHECKING:
    from nerbench.artifacts.lazy_artifact import ArtifactHandle
    from nerbench.tasks.inference.loaded_model import LoadedModel


def score_user_metrics(predicted: Predicted, config: Config, artifact: ArtifactRef | None) -> list[Row]:
    """Rows of the metrics that need predictions, or the model if the artifact is given; the model is loaded once."""
    metrics = [one for one in selected_metrics(config) if one.needs != "counts"]
    if not metrics:
        return []
    predictions = read_predicted(predicted, config)
    if artifact is None:
        return run_custom(metrics, predictions)
    with tagger_handle(artifact, settings_of(config.benchmark), as_saved=True) as handle:
        return run_custom(metrics, predictions, lambda: handle.value)


def read_predicted(predicted: Predicted, config: Config) -> Predictions:
    """Stored predictions in the form that custom code gets."""
    file = read_predictions(config.results, predicted.uri)
    identity = Identity(**{name: getattr(predicted, name) for name in Identity._fields})
    return Predictions(identity=identity, types=file.types, parts=file.parts)


def score_stored(predicted: Predicted, config: Config) -> list[Row]:
    """Every selected number of stored predictions; metrics that need the model have rows with that reason."""
    counts, slices = count_stored(predicted, config)
    intervals = JackknifeIntervals(config.benchmark.confidence)
    metrics = selected_metrics(config)
    wanted = config.benchmark.labels
    labels = (OVERALL, *(counts[0].labels if wanted == "all" else wanted))
    rows = [row for label in labels for row in score(counts, label, metrics=metrics, intervals=intervals)]
    file = read_predictions(config.results, predicted.uri)
    calibrated = calibration_rows(lambda: calibration(file.parts()), config.benchmark)
    return [
        *rows,
        *missing_slices(slices.unavailable, metrics),
        *(missing_tokens(metrics) if predicted.n_unaligned is not None else []),
        *calibrated,
        *score_user_metrics(predicted, config, None),
    ]


Handles = dict[str, Callable[[], Any]]
"""By name, what loads it."""
UNDEFINED = "the function gave no value"


def functions_over(config: Config, *, of_model: bool) -> list[BenchmarkFunction]:
    """The selected functions that take a model, or those that take none; raises like `selected_functions`."""
    return [one for one in selected_functions(config) if one.of_model == of_model]


def run_user_functions(
    config: Config,
    functions: Sequence[BenchmarkFunction],
    artifact: ArtifactRef | None,
    annotations: Iterable[CorpusRef],
    predicted: Iterable[Predicted],
) -> list[Row]:
    """Rows of the table `custom`, but for the run's columns: of functions over a model, or without one.

    A function is called once, or once for each annotation where it takes the corpus or the model's predictions. It is
    not called for predictions that are missing because the evaluation failed; the next attempt of the run calls it.
    """
    found = {(one.dataset, one.gold): one for one in predicted}
    with ExitStack() as stack:
        handles = {} if artifact is None else _of_model(artifact, config, stack)
        named = {} if artifact is None else {"artifact_id": artifact.artifact_id, "model": artifact.name}
        rows = [named | row for row in run_functions([one for one in functions if not one.of_corpus], handles)]
        of_corpus = [one for one in functions if one.of_corpus]
        for corpus in annotations if of_corpus else ():
            about = {"dataset": corpus.dataset.name, "split": corpus.split, "gold": corpus.gold_name}
            known = found.get((corpus.dataset.name, corpus.gold_name))
            callable_now = [one for one in of_corpus if known or "predictions" not in one.handles]
            further = _of_corpus(corpus, known, config)
            rows += [named | about | row for row in run_functions(callable_now, handles | further)]
    return rows


def run_functions(functions: Iterable[BenchmarkFunction], handles: Handles) -> list[Row]:
    """Rows of functions, each called with the handles that it takes, once for each of its parameters.

    A function returns a number, None if there is none, or a mapping of several numbers, each a row `function.name`. If
    it raises, returns anything else, or needs a handle that cannot be loaded, its row has the reason.
    KeyboardInterrupt passes through.
    """

    @cache
    def load(name: str) -> _Loaded:
        try:
            return _Loaded(handles[name](), None)
        except BaseException as error:
            pass_interrupts(error)
            return _Loaded(None, f"{name} cannot be loaded: {explain(error)}")

    return [
        {
            "tags": list(one.tags),
            "parameters": json.dumps(arguments, sort_keys=True, ensure_ascii=False),
            "unit": one.unit,
            "source": one.source,
        }
        | row
        for one in functions
        for index, arguments in enumerate(one.parameters)
        for row in _called(one, index, arguments, {name: load(name) for name in one.handles})
    ]


class _Loaded(NamedTuple):
    value: Any
    trouble: str | None
    """Why there is none."""


def _called(
    one: BenchmarkFunction, index: int, arguments: Mapping[str, Any], loaded: Mapping[str, _Loaded]
) -> Iterator[Row]:
    if troubles := [handle.trouble for handle in loaded.values() if handle.trouble]:
        yield {"name": one.name, "call_s": None} | failed(troubles[0])
        return
    name = " ".join(filter(None, (one.name, parameters_of(dict(arguments)))))
    state = State(name, one.name, len(one.parameters), index)
    seconds: float | None = None
    try:
        one.setUp(state, arguments)
        started = time.perf_counter()
        try:
            given = one.compute(**{name: handle.value for name, handle in loaded.items()}, **arguments)
        finally:
            seconds = time.perf_counter() - started
            one.tearDown(state, arguments)
    except BaseException as error:
        pass_interrupts(error)
        yield {"name": one.name, "call_s": seconds} | failed(reason_of(error, one.place))
        return
    for name, _, value in numbers(given, one.name):
        yield {"name": name, "call_s": seconds} | as_row(value, UNDEFINED)


def _of_model(artifact: ArtifactRef, config: Config, stack: ExitStack) -> Handles:
    """A model's files and what is made of them; the model is evicted at the end of the stack."""
    from nerbench.tasks.inference.loading import load_tokenizer

    @cache
    def handle() -> "ArtifactHandle[LoadedModel]":  # one for all annotations
        return stack.enter_context(tagger_handle(artifact, settings_of(config.benchmark), as_saved=True))

    return {
        "artifact_path": lambda: materialise(artifact),
        "model": lambda: handle().value.model,
        "tokenizer": cache(lambda: load_tokenizer(materialise(artifact)).wrapper),
    }


def _of_corpus(corpus: CorpusRef, predicted: Predicted | None, config: Config) -> Handles:
    corpora: Handles = {"corpus": lambda: open_corpus(corpus)}
    return corpora | ({"predictions": lambda: read_predicted(predicted, config)} if predicted else {})
