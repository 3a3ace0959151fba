"""Benchmark stored models: artifacts × corpora × labels → result tables."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from prefect import flow
from prefect.futures import PrefectFuture

from artifacts.manifest import ArtifactRef
from flows.identity import benchmark_name
from flows.recording import Ledger, recorded
from tasks import steps
from tasks.config import Config, ModelConfig
from tasks.corpora.refs import CorpusRef
from tasks.inference.evaluation import EvaluationPlan, EvaluationRecord
from tasks.results.summary import leaderboard
from tasks.scoring.metrics import Row
from tasks.scoring.seeds import seed_rows


class Evaluated(NamedTuple):
    """One model's predictions on one data set, and the annotations to score them against."""

    artifact: ArtifactRef
    annotations: list[CorpusRef]
    record: EvaluationRecord


class Scored(NamedTuple):
    """The scores of one model on one data set, one future an annotation and label."""

    artifact: ArtifactRef
    dataset: str
    rows: list[PrefectFuture[list[Row]]]


@flow(name="benchmark", flow_run_name=benchmark_name)
def benchmark(config: Config, models: list[str] | None = None, refresh: bool = False) -> dict[str, Any]:
    """Benchmark stored models on every data set of the configuration; nothing is trained.

    `models` are references in place of the configuration's; `refresh` infers again what is cached.
    """
    changes = {"models": tuple(models or config.benchmark.models), "refresh": refresh or config.benchmark.refresh}
    config = config.model_copy(update={"benchmark": config.benchmark.model_copy(update=changes)})
    with recorded(config) as ledger:
        benchmark_models(ledger, config, resolve_models(ledger, config))
    return ledger.summary()


def resolve_models(ledger: Ledger, config: Config) -> list[ArtifactRef]:
    """What the references mean now, each artifact once."""
    found: dict[str, ArtifactRef] = {}
    for reference in config.benchmark.models:
        with ledger.guard(reference):
            found |= {artifact.artifact_id: artifact for artifact in steps.resolve(reference, config.store)}
    return list(found.values())


def benchmark_models(ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef]) -> None:
    """Evaluate and score models; measure them when nothing else runs; a failed one does not stop the others."""
    corpora = [steps.read_corpus(config, dataset) for dataset in config.datasets]
    evaluated = [
        result
        for artifact in artifacts
        for annotations in corpora
        if (result := evaluate_model(ledger, config, artifact, annotations))
    ]
    started = time.perf_counter()
    scored = [score_model(ledger, config, result) for result in evaluated]
    for one in scored:
        write_scores(ledger, one)
    for model in config.models:
        summarise_seeds(ledger, model)
    ledger.add_seconds("score_s", time.perf_counter() - started)
    if config.benchmark.speed:
        for artifact in {one.artifact.artifact_id: one.artifact for one in evaluated}.values():
            with ledger.guard(artifact.name):
                ledger.note(steps.measure(ledger.run, artifact, corpora[0][0], config.benchmark))
    steps.show("nerbench-results", leaderboard(ledger.metrics))


def evaluate_model(
    ledger: Ledger, config: Config, artifact: ArtifactRef, annotations: list[CorpusRef]
) -> Evaluated | None:
    """Predictions of one model on one data set: from the cache if they are intact, else inferred."""
    results = config.results
    with ledger.guard(artifact.name):
        plan = steps.look_up(artifact, annotations[0], config.benchmark, results)
        again = plan.state != "cached"
        evaluate = steps.evaluate.with_options(refresh_cache=again)
        record = EvaluationRecord.model_validate(evaluate(artifact, annotations[0], plan, results))
        ledger.note_evaluation(artifact, record.evaluate_s if again else None)
        if config.benchmark.canary and not again:
            check_canary(ledger, config, artifact, annotations[0], plan)
        return Evaluated(artifact, annotations, record)
    return None


def check_canary(
    ledger: Ledger, config: Config, artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan
) -> None:
    """Let the run fail, its rows all written, where cached predictions are no longer what the model says here."""
    with ledger.guard(f"{artifact.name} (canary)"):
        steps.check_canary(artifact, corpus, plan, config.benchmark.canary, config.results)


def score_model(ledger: Ledger, config: Config, evaluated: Evaluated) -> Scored:
    """Count predictions against every annotation, then score the labels side by side."""
    artifact, run = evaluated.artifact, ledger.run
    futures: list[PrefectFuture[list[Row]]] = []
    with ledger.guard(artifact.name):
        for corpus in evaluated.annotations:
            counted = steps.count(artifact, evaluated.record, corpus, config.benchmark, config.results)
            uri = steps.write_predictions(run, artifact, evaluated.record, corpus, config.benchmark)
            ledger.note({"predictions": uri})
            futures += [
                steps.score.submit(run, artifact, counted, config.benchmark.precision, label)
                for label in counted.labels
            ]
    return Scored(artifact, evaluated.annotations[0].dataset.name, futures)


def summarise_seeds(ledger: Ledger, model: ModelConfig) -> None:
    """Mean and standard deviation over a model's seeds, where all of them were scored."""
    with ledger.guard(model.name):
        if rows := seed_rows(model, ledger.metrics):
            ledger.note({"metrics": steps.write_seeds(ledger.run, model, rows)})
            ledger.metrics += rows


def write_scores(ledger: Ledger, scored: Scored) -> None:
    """Write the rows of one model on one data set."""
    with ledger.guard(scored.artifact.name):
        rows = [row for future in scored.rows for row in future.result()]
        ledger.note({"metrics": steps.write_metrics(ledger.run, scored.artifact, scored.dataset, rows)})
        ledger.metrics += rows
