"""The Prefect tasks in the order of a run. Each wraps a function of this package and has a name for Prefect's pages.

Tasks that only read and write stores use the retries of `STORAGE`. Tasks that load or train a model have no retries and
hold a slot of the concurrency limit `gpu` if they run on a GPU.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from nerbench.artifacts import missing_files, references
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.store import Store
from nerbench.tasks.analysis import analysis, user_scores
from nerbench.tasks.as_task import STORAGE, Rows, as_task, from_store, gpu_slots
from nerbench.tasks.child_process import Job
from nerbench.tasks.comparison import quality_gate, reproducibility, robustness
from nerbench.tasks.config import BenchmarkConfig, Config
from nerbench.tasks.data import corpus_refs
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.data.label_matching import check_labels
from nerbench.tasks.inference import canary, evaluation_cache, processes, sharding, tagger_evaluation
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationPlan, Shard
from nerbench.tasks.inference.prediction_files import n_blocks
from nerbench.tasks.measuring import latency, speed_rows, subjects
from nerbench.tasks.measuring.latency import Measurement
from nerbench.tasks.measuring.speed_rows import Swept
from nerbench.tasks.measuring.subjects import Subject
from nerbench.tasks.progress import at_most_every, both, inference_progress, training_progress
from nerbench.tasks.publishing import card, hub
from nerbench.tasks.report import prefect_page
from nerbench.tasks.report.prefect_page import Announcement
from nerbench.tasks.results import rescoring, rows, tracking
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring import score_predictions
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score_predictions import CountedPredictions, name_predictions
from nerbench.tasks.scoring.stored_predictions import Predicted
from nerbench.tasks.training import launch
from nerbench.tasks.training.launch import TrainedModel, TrainingPlan

PROGRESS_BAR_S = 5.0
"""Minimum seconds between updates of a progress bar; each update is a request to the server."""


def _finetune(plan: TrainingPlan) -> TrainedModel:
    """Fine-tune one model in its working folder, with a progress bar on Prefect's page."""
    model = plan.model
    bar = cast(UUID, create_progress_artifact(0.0, description=f"training {model.name}"))

    def move(event: Job) -> None:
        update_progress_artifact(bar, progress=100 * event["step"] / event["steps"])

    with gpu_slots(model.device, f"models: {model.name}: device", gpus=model.processes):
        return launch.train(plan, both(training_progress(model.name), at_most_every(PROGRESS_BAR_S, move)))


plan_training = as_task(launch.plan_training, "plan the training of {model.name}", **STORAGE)
finetune = as_task(_finetune, "train {plan.model.name}")
save = as_task(launch.publish, "save {trained.name}", name="save", **STORAGE)
save_tagger = as_task(tagger_evaluation.save_tagger, "save {tagger.name}", name="save_tagger")
write_training = as_task(rows.write_training, "write training curve of {artifact.name}", **STORAGE)


def _promote(name: str, artifact_id: str, store: str, alias: str) -> None:
    """Move the alias of the baseline to a model."""
    Store(store).set_alias(name, alias, artifact_id)


resolve = as_task(references.resolve, "resolve {reference}", **STORAGE)
resolve_one = as_task(references.resolve_one, "resolve {reference}", **STORAGE)
find_incomplete = as_task(missing_files.find_incomplete, "look for the files of the models", **STORAGE)
promote = as_task(_promote, "promote {name}", **STORAGE)


def _look_up(artifact: ArtifactRef, corpus: CorpusRef, config: Config, run_id: str) -> EvaluationPlan:
    """Whether predictions for this model, these words and these settings exist and are intact.

    Raises LabelError, before anything is loaded, if the corpus lacks types of the model.
    """
    check_labels(artifact, corpus.types, config.benchmark)
    return evaluation_cache.plan(
        artifact, corpus.words_sha256, config.benchmark, config.results, config.taggers, run_id
    )


def _forget_kernels(results: str) -> None:
    """Let the next inference choose the kernels of linear layers again."""
    from nerbench.tasks.inference.linear_kernels import forget_kernels  # only here: it imports torch

    forget_kernels(results)


def _split_corpus(corpus: CorpusRef, shards: int) -> list[range]:
    """The blocks of each shard of a corpus."""
    return sharding.split_corpus(corpus_refs.open_corpus(corpus), shards)


def _evaluate(
    artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, shard: Shard, results: str
) -> dict[str, Any]:
    """The record of one model's predictions on a corpus, or on a shard of it: a verified one, or a new one."""
    if shard.record:
        return from_store(shard.record.model_dump(mode="json"))
    words = corpus_refs.open_corpus(corpus)
    name = f"{artifact.name} on {corpus.place}{shard.place}"
    progress = inference_progress(name, words.n_words // shard.of)
    device, blocks = plan.settings.device, len(shard.blocks(words))
    with gpu_slots(device, gpus=processes.processes_for(plan.settings.processes, device, blocks)):
        return evaluation_cache.carry_out(plan, artifact, words, results, progress, shard, corpus).model_dump(
            mode="json"
        )


def _check_canary(run: Run, artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, share: float) -> int:
    """Repeat the inference of the share of a cached evaluation that is due at the run's date, and compare the tags."""
    with gpu_slots(plan.settings.device):
        words = corpus_refs.open_corpus(corpus)
        blocks = canary.due(date.fromisoformat(run.date), n_blocks(words), share)
        return canary.check(artifact, words, plan, blocks, run.results)


def _write_predictions(run: Run, evaluated: Evaluated, benchmark: BenchmarkConfig) -> Predicted:
    """The `predictions` of a model for one annotation."""
    return rows.write_predictions(run, name_predictions(run.results, evaluated, benchmark), benchmark)


_ON_CORPUS = "{artifact.name} on {corpus.place}"
read_corpus = as_task(corpus_refs.read_corpus, "read {dataset.name}", **STORAGE)
perturb_corpus = as_task(corpus_refs.perturb_corpus, "perturb {clean.dataset.name}", **STORAGE)
forget_kernels = as_task(_forget_kernels, "forget the kernels of linear layers", **STORAGE)
look_up = as_task(_look_up, f"look up {_ON_CORPUS}", **STORAGE)
split_corpus = as_task(_split_corpus, "cut {corpus.place} into shards", **STORAGE)
find_shards = as_task(sharding.find_shards, "look up shards of {plan.model}", **STORAGE)
evaluate = as_task(_evaluate, f"evaluate {_ON_CORPUS}{{shard.place}}", **STORAGE)
join_shards = as_task(sharding.join_shards, "join the shards of {plan.model}", **STORAGE)
check_canary = as_task(_check_canary, f"infer a share again: {_ON_CORPUS}")
_AGAINST = "predictions of {evaluated.artifact.name} against {evaluated.corpus.gold_name}"
write_predictions = as_task(_write_predictions, f"write {_AGAINST}", **STORAGE)


def _labels_named(parameters: dict[str, Any]) -> str:
    predicted, labels = parameters["predicted"], parameters["labels"]
    named = ", ".join(labels) if len(labels) < 3 else f"{len(labels)} labels, {labels[0]} … {labels[-1]}"
    return f"score {predicted.model} against {predicted.gold}: {named}"


def _score(
    run: Run, predicted: Predicted, counted: CountedPredictions, config: Config, labels: Sequence[str]
) -> Sequence[Row]:
    """The `metrics` rows of some labels."""
    scored = (row for label in labels for row in score_predictions.score_counts(run.results, counted, label, config))
    return Rows(rows.metric_rows(run, predicted, scored))


def _score_user_metrics(run: Run, predicted: Predicted, config: Config, artifact: ArtifactRef | None) -> list[Row]:
    """The `metrics` rows of custom metrics over predictions or the model."""
    return rows.metric_rows(run, predicted, user_scores.score_user_metrics(predicted, config, artifact))


def _run_functions(
    run: Run,
    config: Config,
    artifact: ArtifactRef | None,
    annotations: Sequence[CorpusRef],
    predicted: Sequence[Predicted],
) -> list[Row]:
    """The `custom` rows of a user's benchmark functions over one model, or (None) of those that take none."""
    functions = user_scores.functions_over(config, of_model=artifact is not None)
    with gpu_slots(config.benchmark.device) if any("model" in one.handles for one in functions) else nullcontext():
        found = user_scores.run_user_functions(config, functions, artifact, annotations, predicted)
    return [run.columns | row for row in found]


def _over(parameters: dict[str, Any]) -> str:
    artifact = parameters["artifact"]
    return f"{artifact.name if artifact else 'no model'}: custom functions"


_BESIDE_GOLD = "{predicted.model} against {predicted.gold}"
count = as_task(rows.write_and_count, f"write and count {_AGAINST}", name="count", **STORAGE)
score = as_task(_score, _labels_named, **STORAGE)  # type: ignore[arg-type] # Prefect's type asks for more than it uses
score_user_metrics = as_task(_score_user_metrics, f"score {_BESIDE_GOLD}: custom metrics")
run_functions = as_task(_run_functions, _over)  # type: ignore[arg-type] # as above
analyse = as_task(analysis.analyse, f"analyse {_BESIDE_GOLD}", **STORAGE)
write_metrics = as_task(rows.complete_metrics, "write metrics of {predicted.model} on {predicted.dataset}", **STORAGE)
write_user_metrics = as_task(
    rows.write_user_metrics, "write your own metrics of {predicted.model} on {predicted.dataset}", **STORAGE
)
write_custom = as_task(rows.write_custom, "write values of custom functions", **STORAGE)
write_seeds = as_task(rows.write_seeds, "write mean and deviation of {name}", **STORAGE)


def _find_predictions(scored: rescoring.ScoredPredictions) -> Predicted:
    """The location of scored predictions."""
    return scored.predicted


find_scored = as_task(rescoring.scored_predictions, "find what was scored since {since}", name="find_scored", **STORAGE)
find_predictions = as_task(_find_predictions, "find the predictions of {scored.name}", **STORAGE)
score_stored = as_task(user_scores.score_stored, f"score {_BESIDE_GOLD} again", **STORAGE)
write_missing = as_task(rescoring.write_missing, "add to the metrics of {run.run_id}", **STORAGE)


find_changed = as_task(reproducibility.changed, "compare with earlier runs", name="find_changed", **STORAGE)
find_baseline = as_task(quality_gate.find_baseline, "find the baseline of {model}", **STORAGE)
compare = as_task(
    quality_gate.measure_stored,
    "judge {candidate.model} on {candidate.dataset} against {candidate.gold}",
    name="compare",
    **STORAGE,
)
score_perturbed = as_task(
    robustness.score_perturbed, "score {clean.model} on perturbed words of {clean.dataset}", **STORAGE
)
write_gate = as_task(rows.write_gate, "write the gate's verdicts on {name}", **STORAGE)


def _measure(run: Run, artifact: ArtifactRef, corpus: CorpusRef, config: Config) -> Measurement:
    """Latency, load time and memory of one model, measured in a separate process."""
    with gpu_slots(config.benchmark.device):
        words = corpus_refs.open_corpus(corpus)
        return latency.measure_and_write(run, artifact, words, config.benchmark, config.speed.gate, config.taggers)


def _sweep(run: Run, config: Config, swept: Sequence[Subject]) -> Swept:
    """Speed and memory of models over the cells of a sweep, measured in separate processes."""
    with gpu_slots(config.benchmark.device):
        return speed_rows.sweep_and_write(run, config, swept)


measure = as_task(_measure, "measure {artifact.name}")
find_subjects = as_task(subjects.find_subjects, "find what is to be measured", **STORAGE)
sweep = as_task(_sweep, "sweep speed and memory")


render_card = as_task(card.render_card, "write the card of {artifact.name}", **STORAGE)
publish_on_hub = as_task(hub.publish, "publish {artifact.name} to {repository}", name="publish_on_hub")
"""No retries: the Hub client retries requests itself."""


def _show(key: str, table: list[Row]) -> None:
    """Show a table as an artifact of the run in Prefect."""
    create_table_artifact(key=key, table=table)


def _show_report(announced: Announcement) -> None:
    """Show verdict and key scores as an artifact of the run in Prefect, with a link to the report."""
    create_markdown_artifact(key="nerbench-report", markdown=announced.markdown)
    create_link_artifact(key="nerbench-report-page", link=announced.link, link_text="the whole report")


write_run = as_task(rows.write_run, "record the run", **STORAGE)
show = as_task(_show, "show the results")
track = as_task(tracking.track_run, "log to {name}", name="track")
write_report = as_task(prefect_page.publish, "write the report of {run.run_id}", name="write_report", **STORAGE)
show_report = as_task(_show_report, "show the report")
