"""The steps of a benchmark: predictions from the cache or from inference, then scores and custom functions."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from prefect.futures import PrefectFuture

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.run_context import RunRecorder
from nerbench.flows.task_runners import LOCAL, bounded, submit
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.analysis.analysis import Analysed
from nerbench.tasks.analysis.user_scores import functions_over
from nerbench.tasks.config import Config, ModelConfig
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationPlan, EvaluationRecord, Shard
from nerbench.tasks.progress import milestones
from nerbench.tasks.results.query import is_headline, place_of, score_in_words
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.seeds import seed_rows
from nerbench.tasks.scoring.stored_predictions import Predicted


class Evaluation(NamedTuple):
    """The evaluation of one model on one data set."""

    artifact: ArtifactRef
    corpus: CorpusRef
    runs: list[range]
    """The blocks of each shard; empty if the corpus has no shards."""


class Planned(NamedTuple):
    """An evaluation after a look at the cache."""

    artifact: ArtifactRef
    corpus: CorpusRef
    plan: EvaluationPlan
    shards: list[Shard]
    """One if the corpus has no shards, or if no inference is needed."""


def evaluate_models(
    recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[CorpusRef]
) -> list[Evaluated]:
    """Predictions of every model, each once, on every corpus. A failed model does not stop the others."""
    if config.benchmark.refresh:
        tasks.forget_kernels(config.results)
    distinct = {artifact.artifact_id: artifact for artifact in artifacts}.values()
    cut = [(corpus, split(config, corpus)) for corpus in corpora]
    waiting = [Evaluation(artifact, corpus, runs) for artifact in distinct for corpus, runs in cut]
    evaluated: list[Evaluated] = []
    while waiting:
        planned, waiting = plan_evaluations(recorder, config, waiting)
        evaluated += carry_out_evaluations(recorder, config, planned)
        if config.benchmark.canary:
            check_canaries(recorder, config, planned)
    return evaluated


def split(config: Config, corpus: CorpusRef) -> list[range]:
    """The blocks of each shard of a corpus; empty if it has no shards."""
    runs = tasks.split_corpus(corpus, config.benchmark.shards) if config.benchmark.shards > 1 else []
    return runs if len(runs) > 1 else []


def plan_evaluations(
    recorder: RunRecorder, config: Config, evaluations: Sequence[Evaluation]
) -> tuple[list[Planned], list[Evaluation]]:
    """Plan evaluations, except those that must wait because another one infers the same, as for a model with two names.

    The lookup runs where inference would run, because the key includes the kind of machine.
    """
    planned: list[Planned] = []
    waiting = []
    run_id, keys = recorder.run.run_id, set()
    lookups = [tasks.look_up.submit(artifact, corpus, config, run_id) for artifact, corpus, _ in evaluations]
    for evaluation, lookup in zip(evaluations, lookups, strict=True):
        artifact, corpus, runs = evaluation
        with recorder.guard(artifact.name):
            plan = lookup.result()
            if plan.key in keys and not plan.record:
                waiting.append(evaluation)
                continue
            shards = [Shard(record=plan.record)]
            if runs and not plan.record:
                shards = tasks.find_shards(plan, runs, config.results)
            planned.append(Planned(artifact, corpus, plan, shards))
            keys.add(plan.key)
    return planned, waiting


def carry_out_evaluations(recorder: RunRecorder, config: Config, planned: Sequence[Planned]) -> list[Evaluated]:
    """Submit the shards of all evaluations one after another, and join those of each; cached ones need no worker."""
    submitted = (
        submit(LOCAL if shard.record else config.runner, tasks.evaluate, artifact, corpus, plan, shard, config.results)
        for artifact, corpus, plan, shards in planned
        for shard in shards
    )
    work = bounded(submitted, config.runner.at_once)
    evaluated = []
    for artifact, corpus, plan, shards in planned:
        finished = list(islice(work, len(shards)))
        with recorder.guard(artifact.name):
            records = [EvaluationRecord.model_validate(shard.result()) for shard in finished]
            record = tasks.join_shards(plan, records, config.results) if len(shards) > 1 else records[0]
            seconds = sum(new.evaluate_s for new, shard in zip(records, shards, strict=True) if shard.record is None)
            if corpus.perturbation is None:
                recorder.note_evaluation(artifact, None if plan.record else seconds)
            evaluated.append(Evaluated(artifact, corpus, record))
    return evaluated


def check_canaries(recorder: RunRecorder, config: Config, planned: Sequence[Planned]) -> None:
    """Fail the run, after all rows are written, if cached predictions differ from those of the models."""
    share = config.benchmark.canary
    cached = [one for one in planned if one.plan.record and one.artifact.kind == "model"]
    submitted = (
        submit(config.runner, tasks.check_canary, recorder.run, artifact, corpus, plan, share)
        for artifact, corpus, plan, _ in cached
    )
    for one, checked in zip(cached, bounded(submitted, config.runner.at_once), strict=True):
        with recorder.guard(f"{one.artifact.name} (canary)"):
            checked.result()


class Scored(NamedTuple):
    """The scores of one model against one annotation."""

    predicted: Predicted
    rows: list[PrefectFuture[Sequence[Row]]]
    """One per chunk of labels."""
    analysed: PrefectFuture[Analysed]


def score_models(
    recorder: RunRecorder, config: Config, evaluated: Sequence[Evaluated], corpora: Sequence[Sequence[CorpusRef]]
) -> None:
    """Store predictions, count matches with every annotation, and score all labels in parallel; then write the rows.

    An annotation that fails does not stop the others. `corpora`: the annotations of each data set, its own first.
    """
    annotations = {own.dataset.name: (own, *others) for own, *others in corpora}
    submitted = [
        [
            scored
            for corpus in annotations[one.corpus.dataset.name]
            if (scored := submit_scores(recorder, config, one._replace(corpus=corpus)))
        ]
        for one in evaluated
    ]
    for of_model in submitted:
        rows = [row for scored in of_model for row in finished_scores(recorder, scored)]
        if not rows:
            continue
        first = of_model[0].predicted
        with recorder.guard(first.model):
            recorder.note_metrics(tasks.write_metrics(recorder.run, first, rows), rows)
            for row in (row for row in rows if is_headline(row) and row["value"] is not None):
                milestones.info("%s: %s on %s", first.model, score_in_words(row), place_of(row))


def submit_scores(recorder: RunRecorder, config: Config, evaluated: Evaluated) -> Scored | None:
    """Store and count the predictions of one model, then submit the scoring of all labels. None if it fails."""
    run, chunk = recorder.run, config.runner.cells_per_task
    with recorder.guard(evaluated.artifact.name):
        predicted, counted = tasks.count(run, evaluated, config)
        recorder.note_predictions(predicted)
        analysed = tasks.analyse.submit(run, predicted, config.benchmark)
        parts = (counted.labels[at : at + chunk] for at in range(0, len(counted.labels), chunk))
        return Scored(
            predicted, [tasks.score.submit(run, predicted, counted, config, part) for part in parts], analysed
        )
    return None


def finished_scores(recorder: RunRecorder, scored: Scored) -> list[Row]:
    """All `metrics` rows of one annotation, or none if it fails."""
    with recorder.guard(scored.predicted.model):
        rows = [row for future in scored.rows for row in future.result()]
        analysed = scored.analysed.result()
        recorder.note(analysed.tables)
        return [*rows, *analysed.metrics]
    return []


def score_user_metrics(recorder: RunRecorder, config: Config, artifact: ArtifactRef, dataset: str) -> None:
    """Custom metrics for one model and data set, one after another, because they may load the model."""
    with recorder.guard(f"{artifact.name} (custom metrics)"):
        predicted = recorder.predictions(artifact.artifact_id, dataset)
        scored = [tasks.score_user_metrics(recorder.run, one, config, artifact) for one in predicted]
        if rows := [row for rows in scored for row in rows]:
            for stored in tasks.write_user_metrics(recorder.run, predicted[0], rows):
                recorder.note_metrics([stored.uri], stored.rows)


def summarise_seeds(recorder: RunRecorder, model: ModelConfig) -> None:
    """Write mean and standard deviation over a model's seeds, if all of them have scores."""
    with recorder.guard(model.name):
        if rows := seed_rows(model, recorder.metrics):
            recorder.note_metrics(tasks.write_seeds(recorder.run, model.name, rows), rows)


def run_functions(
    recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[list[CorpusRef]]
) -> None:
    """Call the functions in the files of `metrics:`, first those that take no model, then one model after another."""
    with recorder.guard("custom functions"):
        annotations = [corpus for of_dataset in corpora for corpus in of_dataset]
        for artifact in (None, *artifacts):
            if not functions_over(config, of_model=artifact is not None):
                continue
            artifact_id = artifact.artifact_id if artifact else None
            predicted = recorder.predictions(artifact_id)
            if rows := tasks.run_functions(recorder.run, config, artifact, annotations, predicted):
                for stored in tasks.write_custom(recorder.run, artifact_id, rows):
                    recorder.note({"custom": stored.uri})
                    recorder.custom += stored.rows
