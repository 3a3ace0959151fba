"""The Prefect tasks: each body is one call of the function that does the work, which is tested directly.

Nothing large passes between them: references, digests, plain numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect import task
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.context import TaskRunContext
from prefect.runtime import task_run
from prefect.tasks import Task

from artifacts import presence, references
from artifacts.errors import StoreUnreachableError
from artifacts.manifest import ArtifactRef
from artifacts.store import Store
from tasks.analysis import writing
from tasks.analysis.writing import Analysed
from tasks.child import Job
from tasks.comparison import frozen, gate
from tasks.config import BenchmarkConfig, Config, DatasetConfig, GateConfig, GateRule, ModelConfig
from tasks.corpora import refs
from tasks.corpora.refs import CorpusRef
from tasks.custom import own
from tasks.inference import canary, evaluation, sharding
from tasks.inference.evaluation import EvaluationPlan, EvaluationRecord
from tasks.inference.loading import resolve_device
from tasks.inference.sharding import Shard, ShardRecord
from tasks.measuring import measurement, subjects, tables
from tasks.measuring.measurement import Measurement
from tasks.measuring.subjects import Subject
from tasks.measuring.tables import Swept
from tasks.progress import at_most_every, both, inference_progress, training_progress
from tasks.publishing import card, hub
from tasks.publishing.card import Card
from tasks.publishing.hub import Publication
from tasks.report import announcement
from tasks.report.announcement import Announcement
from tasks.results import nights, rows
from tasks.results.nights import ScoredPredictions
from tasks.results.predicted import Predicted
from tasks.runs import Run
from tasks.scoring import counting
from tasks.scoring.counting import CountedPredictions
from tasks.scoring.metrics import Row
from tasks.tracking import mlflow_runs
from tasks.training import launch
from tasks.training.launch import TrainedModel

PROGRESS_BAR_S = 5.0
"""Seconds between two moves of a progress bar, each a request to the server."""
GPU_LIMIT, GPU_LEASE_S = "gpu", 60.0
PERMANENT = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def _is_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Only a store or network that may answer next time is asked again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnreachableError | OSError) and not isinstance(error, PERMANENT)


RETRIED: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 20, 60],  # together more than a minute, also where jitter makes them shorter
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": _is_transient,
}
STORAGE = RETRIED | {"cache_policy": NO_CACHE}  # else Prefect would hash all that is passed, for a cache nobody reads


@contextmanager
def _gpu_slot(device: str, field: str = "benchmark.device") -> Iterator[None]:
    """Meanwhile, one slot of the global concurrency limit `gpu` is held, if the device is a GPU and that limit exists.

    A living process renews the lease; from a killed one Prefect takes the slot back when it has run out.
    """
    if resolve_device(device, field).type != "cuda":
        yield
        return
    with concurrency(GPU_LIMIT, lease_duration=GPU_LEASE_S):
        yield


@task(task_run_name="resolve {reference}", **STORAGE)
def resolve(reference: str, store: str) -> list[ArtifactRef]:
    """The artifacts that a reference means now."""
    return references.resolve(reference, store)


@task(task_run_name="resolve {reference}", **STORAGE)
def resolve_one(reference: str, store: str) -> ArtifactRef:
    """The one artifact that a reference means now."""
    return references.resolve_one(reference, store)


@task(task_run_name="look for the files of the models", **STORAGE)
def find_incomplete(artifacts: Sequence[ArtifactRef]) -> dict[str, str]:
    """By artifact_id, what is missing in the store of each artifact that is not all there."""
    return presence.find_incomplete(artifacts)


@task(task_run_name="read {dataset.name}", **STORAGE)
def read_corpus(config: Config, dataset: DatasetConfig) -> list[CorpusRef]:
    """The benchmark split of a data set under each of its annotations."""
    return refs.describe(config, dataset)


def _progress_bar(name: str) -> Callable[[Job], None]:
    """A listener for training events that moves a Prefect progress artifact."""
    bar = cast(UUID, create_progress_artifact(0.0, description=f"training {name}"))

    def move(event: Job) -> None:
        update_progress_artifact(bar, progress=100 * event["step"] / event["steps"])

    return at_most_every(PROGRESS_BAR_S, move)


@task(task_run_name="train {model.name}")
def finetune(model: ModelConfig, dataset: DatasetConfig) -> TrainedModel:
    """Fine-tune one model into a local folder; a progress bar beside the run says how far it is."""
    with _gpu_slot(model.device, f"models: {model.name}: device"):
        return launch.train(model, dataset, both(training_progress(model.name), _progress_bar(model.name)))


@task(task_run_name="save {trained.name}", **STORAGE)
def save(run: Run, trained: TrainedModel, store: str) -> ArtifactRef:
    """Publish a trained model."""
    return launch.publish(trained, Store(store), run.run_id)


@task(task_run_name="write training curve of {trained.name}", **STORAGE)
def write_training(run: Run, artifact: ArtifactRef, trained: TrainedModel) -> str:
    """Write the `training` rows of a model."""
    return rows.write_training(run, artifact, trained.provenance)


@task(task_run_name="look up {artifact.name} on {corpus.dataset.name}", **STORAGE)
def look_up(artifact: ArtifactRef, corpus: CorpusRef, benchmark: BenchmarkConfig, results: str) -> EvaluationPlan:
    """Whether predictions for this model, these words and these settings exist and are intact."""
    return evaluation.plan(artifact, corpus.words_sha256, benchmark, results)


def _evaluation_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"nerbench-evaluation-{parameters['plan'].key}-{parameters['results']}"


@task(
    task_run_name="evaluate {artifact.name} on {corpus.dataset.name}",
    cache_key_fn=_evaluation_key,
    result_serializer="json",
    **RETRIED,
)
def evaluate(artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, results: str) -> dict[str, Any]:
    """Predictions of one model on one corpus, as their record: from the results' cache, or inferred."""
    words = refs.open_corpus(corpus)
    progress = inference_progress(f"{artifact.name} on {corpus.dataset.name}", words.n_words)
    with _gpu_slot("cpu" if plan.record else plan.settings.device):  # what is cached needs no GPU
        return evaluation.carry_out(plan, artifact, words, results, progress).model_dump(mode="json")


@task(task_run_name="cut {corpus.dataset.name} into shards", **STORAGE)
def split_corpus(corpus: CorpusRef, shards: int) -> list[range]:
    """The blocks of each shard of a corpus."""
    return sharding.split_corpus(refs.open_corpus(corpus), shards)


@task(task_run_name="look up shards of {artifact.name}", **STORAGE)
def find_shards(artifact: ArtifactRef, plan: EvaluationPlan, runs: Sequence[range], results: str) -> list[Shard]:
    """The shards of an evaluation, and which of them are inferred already and intact."""
    return sharding.find_shards(plan, artifact.name, runs, results)


def _shard_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    return f"{_evaluation_key(context, parameters)}-{parameters['shard'].first}-{parameters['shard'].stop}"


@task(
    task_run_name="evaluate {artifact.name} on {corpus.dataset.name}, shard {shard.number} of {shard.of}",
    cache_key_fn=_shard_key,
    result_serializer="json",
    **RETRIED,
)
def infer_shard(
    artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, shard: Shard, results: str
) -> dict[str, Any]:
    """Predictions of one model on a shard of a corpus, as their record: from the results' cache, or inferred."""
    words = refs.open_corpus(corpus)
    name = f"{artifact.name} on {corpus.dataset.name}, shard {shard.number} of {shard.of}"
    progress = inference_progress(name, words.n_words // shard.of)
    with _gpu_slot("cpu" if shard.record else plan.settings.device):
        return sharding.infer_shard(plan, shard, artifact, words, results, progress).model_dump(mode="json")


@task(task_run_name="join the shards of {artifact.name} on {corpus.dataset.name}", **STORAGE)
def join_shards(
    artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, shards: Sequence[ShardRecord], results: str
) -> EvaluationRecord:
    """The shards of an evaluation as one."""
    return sharding.join_shards(plan, artifact, shards, results)


@task(task_run_name="infer a share again: {artifact.name} on {corpus.dataset.name}")
def check_canary(artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, share: float, results: str) -> int:
    """Infer a share of a cached evaluation again and compare the tags; never cached."""
    with _gpu_slot(plan.settings.device):
        return canary.check(artifact, refs.open_corpus(corpus), plan, share, results)


@task(task_run_name="write predictions of {artifact.name} beside {corpus.gold_name}", **STORAGE)
def write_predictions(
    run: Run, artifact: ArtifactRef, record: EvaluationRecord, corpus: CorpusRef, benchmark: BenchmarkConfig
) -> Predicted:
    """Write the `predictions` of one model beside one annotation, unless they stand there already."""
    return rows.write_predictions(run, artifact, record, corpus, benchmark)


@task(task_run_name="count {artifact.name} against {corpus.gold_name}", **STORAGE)
def count(
    artifact: ArtifactRef, record: EvaluationRecord, corpus: CorpusRef, config: Config, results: str
) -> CountedPredictions:
    """Count stored predictions of one model against one annotation, slice by slice."""
    return counting.count_predictions(results, artifact, record, corpus, config)


def _some_labels() -> str:
    parameters = task_run.parameters
    predicted, labels = parameters["predicted"], parameters["labels"]
    named = ", ".join(labels) if len(labels) < 3 else f"{len(labels)} labels, {labels[0]} … {labels[-1]}"
    return f"score {predicted.model} against {predicted.gold}: {named}"


@task(task_run_name=_some_labels, **STORAGE)
def score(
    run: Run, predicted: Predicted, counted: CountedPredictions, config: Config, labels: Sequence[str]
) -> list[Row]:
    """The `metrics` rows of some labels."""
    scored = (row for label in labels for row in counting.score_counts(run.results, counted, label, config))
    return rows.metric_rows(run, predicted, scored)


@task(task_run_name="score {predicted.model} against {predicted.gold}: metrics of your own")
def score_own(run: Run, predicted: Predicted, config: Config, artifact: ArtifactRef | None) -> list[Row]:
    """The `metrics` rows of a user's own metrics that look at predictions, or at the model; never cached."""
    return rows.metric_rows(run, predicted, own.score_own(predicted, config, artifact))


@task(task_run_name="analyse {predicted.model} against {predicted.gold}", **STORAGE)
def analyse(run: Run, predicted: Predicted, benchmark: BenchmarkConfig) -> Analysed:
    """Write `confusion`, `errors` and `calibration`, unless they stand there already."""
    return writing.analyse(run, predicted, benchmark)


@task(task_run_name="write metrics of {artifact.name} on {dataset}", **STORAGE)
def write_metrics(run: Run, artifact: ArtifactRef, dataset: str, scored: Sequence[Row]) -> str:
    """Write the `metrics` of one model on one data set."""
    return rows.write_metrics(run, artifact, dataset, scored)


@task(task_run_name="write your own metrics of {artifact.name} on {dataset}", **STORAGE)
def write_own(run: Run, artifact: ArtifactRef, dataset: str, scored: Sequence[Row]) -> str:
    """Write the rows of a user's own metrics of one model on one data set."""
    return rows.write_own(run, artifact, dataset, scored)


@task(task_run_name="find what was scored since {since}", **STORAGE)
def find_scored(results: str, since: str | None) -> list[ScoredPredictions]:
    """All predictions that runs since that date have scored."""
    return nights.scored_predictions(results, since)


@task(task_run_name="find the predictions of {scored.name}", **STORAGE)
def find_predictions(scored: ScoredPredictions) -> Predicted:
    """Where predictions are that runs have scored."""
    return scored.predicted


@task(task_run_name="score {predicted.model} against {predicted.gold} again", **STORAGE)
def score_stored(predicted: Predicted, config: Config) -> list[Row]:
    """Every number of stored predictions."""
    return own.score_stored(predicted, config)


@task(task_run_name="add to the metrics of {run.run_id}", **STORAGE)
def write_missing(run: Run, predicted: Predicted, scored: Sequence[Row]) -> tuple[str | None, list[Row]]:
    """Add to an earlier run's `metrics` what it lacks."""
    return nights.write_missing(run, predicted, scored)


@task(task_run_name="compare with earlier runs", **STORAGE)
def check_frozen(run: Run, config: Config, predicted: Sequence[Predicted]) -> list[Row]:
    """A row of `gate` for each unchanged model that predicts differently than before."""
    return frozen.changed(run, config, predicted)


@task(task_run_name="find the baseline of {artifact.name}", **STORAGE)
def find_baseline(gate_config: GateConfig, artifact: ArtifactRef, store: str) -> ArtifactRef | None:
    """What a model is compared with; None where it will be the first."""
    return gate.find_baseline(gate_config, artifact, store)


@task(task_run_name="judge {candidate.model} on {candidate.dataset} against {candidate.gold}", **STORAGE)
def judge(config: Config, rules: Sequence[GateRule], candidate: Predicted, base: Predicted | None) -> list[Row]:
    """The rows of `gate` of one model beside its baseline under one annotation."""
    return gate.judge_stored(config, rules, candidate, base)


@task(task_run_name="write the gate's verdicts on {name}", **STORAGE)
def write_gate(run: Run, name: str, judged: Sequence[Row]) -> str:
    """Write rows of `gate`."""
    return rows.write_gate(run, name, judged)


@task(task_run_name="promote {artifact.name}", **STORAGE)
def promote(artifact: ArtifactRef, store: str, alias: str) -> None:
    """Move the alias of the baseline to a model."""
    Store(store).set_alias(artifact.name, alias, artifact.artifact_id)


@task(task_run_name="write mean and deviation of {model.name}", **STORAGE)
def write_seeds(run: Run, model: ModelConfig, scored: Sequence[Row]) -> str:
    """Write the `metrics` rows over the seeds of one model."""
    return rows.write_seeds(run, model.name, scored)


@task(task_run_name="measure {artifact.name}")
def measure(run: Run, artifact: ArtifactRef, corpus: CorpusRef, config: Config) -> Measurement:
    """Latency, load time and memory of one model, taken in a process of its own; never cached."""
    with _gpu_slot(config.benchmark.device):
        words = refs.open_corpus(corpus)
        return measurement.measure_and_write(run, artifact, words, config.benchmark, config.speed.gate)


@task(task_run_name="find what is to be measured", **STORAGE)
def find_subjects(models: Sequence[str], store: str) -> list[Subject]:
    """The models that references, names of architectures and configurations mean now."""
    return subjects.find_subjects(models, store)


@task(task_run_name="sweep speed and memory", cache_policy=NO_CACHE)
def sweep(run: Run, config: Config, swept: Sequence[Subject]) -> Swept:
    """Speed and memory of models over a sweep's cells, taken in processes of their own; never cached."""
    with _gpu_slot(config.benchmark.device):
        return tables.sweep_and_write(run, config, swept)


@task(task_run_name="write the card of {artifact.name}", **STORAGE)
def render_card(artifact: ArtifactRef, config: Config, repository: str) -> Card:
    """The model card of an artifact."""
    return card.render_card(artifact, config, repository)


@task(task_run_name="publish {artifact.name} to {repository}")
def publish_on_hub(
    artifact: ArtifactRef, card: Card, repository: str, *, public: bool, message: str | None
) -> Publication:
    """Publish an artifact with its card; it asks again by itself."""
    return hub.publish(artifact, card.text, repository, public=public, message=message)


@task(task_run_name="record the run", **STORAGE)
def write_run(run: Run, config: Config, totals: Row, outcome: str) -> str:
    """Write the `runs` row."""
    return rows.write_run(run, config, totals, outcome)


@task(task_run_name="show the results")
def show(key: str, table: list[Row]) -> None:
    """Show a table beside the run in Prefect."""
    create_table_artifact(key=key, table=table)


@task(task_run_name="log to {config.track}")
def track(run: Run, config: Config, artifacts: Sequence[ArtifactRef], tables: dict[str, list[str]]) -> None:
    """Log what the run found in MLflow too."""
    mlflow_runs.log_run(run, config, artifacts, tables)


@task(task_run_name="write the report of {run.run_id}", **STORAGE)
def write_report(run: Run, config: Config) -> Announcement:
    """Write the page about a run and its data beside its tables."""
    return announcement.publish(run, config)


@task(task_run_name="show the report")
def show_report(announced: Announcement) -> None:
    """Show verdict and key numbers beside the run in Prefect, with a link to the page."""
    create_markdown_artifact(key="nerbench-report", markdown=announced.markdown)
    create_link_artifact(key="nerbench-report-page", link=announced.link, link_text="the whole report")
