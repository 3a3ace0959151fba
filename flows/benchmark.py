"""Benchmark stored models: artifacts × corpora × labels → result tables."""

import time
from collections.abc import Sequence
from typing import Any

from prefect import flow

from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import (
    evaluate_models,
    run_functions,
    score_models,
    score_user_metrics,
    summarise_seeds,
)
from nerbench.flows.clone_check import require_installed
from nerbench.flows.gate import find_baselines, hold_to_gate
from nerbench.flows.request import (
    DEFAULT_REQUEST,
    References,
    Request,
    admit_references,
    configuration,
    in_form,
    returned,
)
from nerbench.flows.robustness import measure_robustness
from nerbench.flows.run_context import RunRecorder, recorded, reported, track
from nerbench.flows.run_names import benchmark_name
from nerbench.flows.task_runners import fanned_out
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.results.summary import leaderboard

require_installed(__name__, __file__)

NEEDS = ("datasets", "golds", "benchmark", "metrics", "slices", "gate")


@in_form("models", "refresh")
@flow(name="benchmark", flow_run_name=benchmark_name)
def benchmark(config: Request = DEFAULT_REQUEST, models: References = None, refresh: bool = False) -> dict[str, Any]:
    """Benchmark stored models on every data set in the configuration, without training.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
        models: References that override the configured ones, e.g. minilm-l6@latest or a location; `*@latest` is all.
        refresh: Run inference again, even if predictions are cached.
    """
    config = configuration(config, NEEDS)
    admit_references("models", models or ())
    if models == []:  # a template may render to an empty list, which must not mean every model
        raise InputError("models", "is an empty list", "name a model, or leave it out")
    changes = {"models": tuple(models or config.benchmark.models), "refresh": refresh or config.benchmark.refresh}
    config = config.model_copy(update={"benchmark": config.benchmark.model_copy(update=changes)})
    with fanned_out(config), reported(config) as page, recorded(config) as recorder:
        benchmark_models(recorder, config, resolve_models(recorder, config))
    return returned(recorder.summary() | page)


def resolve_models(recorder: RunRecorder, config: Config) -> list[ArtifactRef]:
    """Resolve references, each artifact once. An artifact with missing files fails the run, but is still returned."""
    found: dict[str, ArtifactRef] = {}
    for reference in config.benchmark.models:
        with recorder.guard(reference):
            found |= {artifact.artifact_id: artifact for artifact in tasks.resolve(reference, config.store)}
    for artifact_id, problem in tasks.find_incomplete(list(found.values())).items():
        with recorder.guard(found[artifact_id].name):  # cached predictions are scored anyway, and the run fails
            raise CorruptArtifactError(problem)
    return list(found.values())


def benchmark_models(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef]) -> None:
    """Evaluate and score models, apply the gate, then measure speed and memory when nothing else runs.

    A failed model does not stop the others.
    """
    corpora = [tasks.read_corpus(config, dataset) for dataset in config.datasets]
    baselines = find_baselines(recorder, config, artifacts)
    own = [annotations[0] for annotations in corpora]
    evaluated = evaluate_models(recorder, config, [*artifacts, *filter(None, baselines.values())], own)
    started = time.perf_counter()
    score_models(recorder, config, evaluated, corpora)
    if config.metrics:
        for artifact, corpus, _ in evaluated:
            score_user_metrics(recorder, config, artifact, corpus.dataset.name)
        run_functions(recorder, config, artifacts, corpora)
    for model in config.base_models:
        summarise_seeds(recorder, model)
    recorder.add_seconds("score_s", time.perf_counter() - started)
    if config.robustness:
        measure_robustness(recorder, config, artifacts, baselines, corpora)
    hold_to_gate(recorder, config, artifacts, baselines)
    if config.benchmark.speed:
        from nerbench.flows.speed import measure_models, sweep_models  # its flow takes a tenth of a second

        measure_models(recorder, config, [artifact for artifact, _, _ in evaluated], corpora)
        if config.speed.nightly:
            sweep_models(recorder, config, artifacts)
    tasks.show("nerbench-results", leaderboard(recorder.metrics))
    track(recorder, config)
