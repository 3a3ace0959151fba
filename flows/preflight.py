"""Checks of `run`, `train`, `benchmark` and `score` before a flow starts, so that an invalid request writes nothing."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from nerbench.artifacts.errors import ConfigError, LabelError, NerbenchError, collected
from nerbench.artifacts.memoized_reads import read_once
from nerbench.flows.launch import prefect_running, quiet, start_prefect
from nerbench.flows.python_gc import importing
from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import absolute_reference
from nerbench.tasks.data.demo import prepare_demo

if TYPE_CHECKING:
    from nerbench.artifacts.manifest import ArtifactRef


def run(config: Config) -> dict[str, Any]:
    """Train, save and benchmark."""
    _check_run(config)
    from nerbench.flows.pipeline import pipeline

    with prefect_running():
        return pipeline(config)


def curve(config: Config, shares: tuple[int, ...]) -> dict[str, Any]:
    """Train on shares of the data, save and benchmark."""
    _check_run(config)
    from nerbench.flows.curve import curve

    with prefect_running():
        return curve(config, shares)


def train(config: Config) -> dict[str, Any]:
    """Train and save."""
    start_prefect()
    prepare_demo(config)
    _check_training(config)
    from nerbench.flows.train import train

    with prefect_running():
        return train(config)


@read_once()  # so that the flow does not resolve the references again
def benchmark(config: Config, references: Sequence[str] | None, *, refresh: bool, speed: bool | None) -> dict[str, Any]:
    """Benchmark stored models: the references given, or the configuration's; `speed` overrides it if given."""
    quiet()
    from nerbench.artifacts.references import resolve

    named = [absolute_reference(reference) for reference in references or ()]
    with collected():  # the flow itself reports damaged artifacts
        # First, because names are easily mistyped and the rest takes seconds.
        found = [artifact for reference in named for artifact in resolve(reference, config.store)]
    start_prefect()
    if speed is not None:
        config = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"speed": speed})})
    _check_user_code(config)
    prepare_demo(config)
    known = _check_benchmark(config)
    configured = [absolute_reference(reference) for reference in config.benchmark.models]
    if not (named or configured):
        _check_functions_alone(config)
    with collected():
        if not named:
            found = [artifact for reference in configured for artifact in resolve(reference, config.store)]
    _check_labels(config, found, known)
    with importing():
        from nerbench.flows.benchmark import benchmark

    with prefect_running(before_ready=partial(_prepare_report, config)):
        return benchmark(config, models=named or configured or None, refresh=refresh)


def _prepare_report(config: Config) -> None:
    """Do what the flow needs later anyway, and remember it: imports, and the parts of its report without scores."""
    import fastapi.encoders  # noqa: F401 - by Prefect, when a flow starts

    from nerbench.tasks.inspection.inspection import inspect
    from nerbench.tasks.report import page

    if config.benchmark.report and config.datasets:
        page.prepare()
        with suppress(NerbenchError):  # the flow reports it
            inspect(config)


def score(config: Config, since: str | None) -> dict[str, Any]:
    """Score stored predictions again."""
    start_prefect()
    from nerbench.flows.score import score
    from nerbench.tasks.results.rescoring import scored_predictions

    _check_user_code(config)
    scored_predictions(config.results, since)
    with prefect_running():
        return score(config, since=since)


def _check_run(config: Config) -> None:
    start_prefect()
    _check_user_code(config)
    prepare_demo(config)
    _check_training(config)
    _check_benchmark(config)


def _check_training(config: Config) -> None:
    from nerbench.tasks.inference.hardware import device_type
    from nerbench.tasks.inference.processes import check_processes

    if not config.models:
        remedy = "add one, e.g. {name: tagger, base: bert-base-uncased}"
        raise ConfigError("models", "there is no model to train", remedy)
    for model in config.base_models:
        field = f"models: {model.name}: "
        check_processes(model.processes, device_type(model.device, f"{field}device"), field)
        dataset = config.dataset_of(model)
        for split in ("train", "validation"):
            if dataset.format == "conll" and dataset.file_of(split) is None:
                field = f"datasets: {dataset.name}: files"
                raise ConfigError(
                    field, f"there is no {split} file, which training {model.name} needs", f"add {split}: FILE"
                )


def _check_user_code(config: Config) -> None:
    from nerbench.tasks.results.tracking import require
    from nerbench.tasks.scoring.score_predictions import selected_metrics
    from nerbench.tasks.scoring.slices import user_slices

    require(config)
    selected_metrics(config)
    user_slices(config.slices)


def _check_functions_alone(config: Config) -> None:
    from nerbench.tasks.scoring.score_predictions import selected_functions

    functions = selected_functions(config)
    if not functions or any(one.of_model for one in functions):
        remedy = "name one, or leave the key out, which means every model of the store"
        raise ConfigError("benchmark.models", "is an empty list", remedy)


def _check_labels(config: Config, artifacts: Sequence["ArtifactRef"], types: Sequence[Collection[str]]) -> None:
    """Raise LabelError if no model has labels for any of the corpora; the flow reports a single one."""
    from nerbench.tasks.data.label_matching import check_labels

    errors = []
    for artifact, of_corpus in product(artifacts, types):
        try:
            check_labels(artifact, of_corpus, config.benchmark)
        except LabelError as error:
            errors.append(error)
        else:
            return
    if errors:
        raise errors[0]


def _check_benchmark(config: Config) -> list[tuple[str, ...]]:
    """Check what a benchmark needs, and return the entity types of each corpus."""
    from nerbench.flows.task_runners import check_runner
    from nerbench.tasks.data.corpus_refs import describe
    from nerbench.tasks.inference.backends import check_backend
    from nerbench.tasks.inference.hardware import device_type
    from nerbench.tasks.inference.loading import check_precision
    from nerbench.tasks.inference.processes import check_processes
    from nerbench.tasks.scoring.score_predictions import selected_functions

    functions = () if config.datasets else selected_functions(config)
    if not config.datasets and (not functions or any(one.of_corpus for one in functions)):
        raise ConfigError(
            "datasets", "there is no corpus to benchmark on", "add one, e.g. {name: mine, files: {test: test.txt}}"
        )
    check_runner(config.runner)
    device = device_type(config.benchmark.device)
    check_precision(config.benchmark.dtype, device)
    check_backend(config.benchmark.backend, device)
    if config.benchmark.processes != "auto":
        check_processes(config.benchmark.processes, device, "benchmark.")
    found = [describe(config, dataset)[0].types for dataset in config.datasets]
    known = {kind for types in found for kind in types}
    if config.benchmark.labels != "all" and (unknown := sorted(set(config.benchmark.labels) - known)):
        raise ConfigError(
            "benchmark.labels", f"no corpus has {', '.join(unknown)}", f"give some of {', '.join(sorted(known))}"
        )
    return found
