"""From artifacts and corpora to scores: evaluate, store the predictions, count, score, write.

Rows are quoted where they are passed to a step: Prefect looks for futures in everything else, value by value.
"""

from collections.abc import Sequence
from typing import NamedTuple

from prefect.futures import PrefectFuture
from prefect.utilities.annotations import quote

from artifacts.manifest import ArtifactRef
from flows.recording import Ledger
from tasks import steps
from tasks.analysis.writing import Analysed
from tasks.config import Config, ModelConfig
from tasks.corpora.refs import CorpusRef
from tasks.inference.evaluation import EvaluationPlan, EvaluationRecord
from tasks.scoring.metrics import Row
from tasks.scoring.seeds import seed_rows


class Evaluated(NamedTuple):
    """One model's predictions on one data set, and the annotations to score them against."""

    artifact: ArtifactRef
    annotations: list[CorpusRef]
    record: EvaluationRecord


class Scored(NamedTuple):
    """The scores of one model on one data set."""

    artifact: ArtifactRef
    dataset: str
    rows: list[PrefectFuture[list[Row]]]
    """One an annotation and label."""
    analysed: list[PrefectFuture[Analysed]]
    """One an annotation."""


def evaluate_models(
    ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[list[CorpusRef]]
) -> list[Evaluated]:
    """Predictions of every model, each once, on every data set; a failed one does not stop the others."""
    return [
        result
        for artifact in {one.artifact_id: one for one in artifacts}.values()
        for annotations in corpora
        if (result := evaluate_model(ledger, config, artifact, annotations))
    ]


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
    """Store and count predictions against every annotation, then score the labels side by side."""
    artifact, run = evaluated.artifact, ledger.run
    scored = Scored(artifact, evaluated.annotations[0].dataset.name, [], [])
    with ledger.guard(artifact.name):
        for corpus in evaluated.annotations:
            predicted = steps.write_predictions(run, artifact, evaluated.record, corpus, config.benchmark)
            ledger.note_predictions(predicted)
            counted = steps.count(artifact, evaluated.record, corpus, config, config.results)
            scored.analysed.append(steps.analyse.submit(run, predicted, config.benchmark))
            for label in counted.labels:
                scored.rows.append(steps.score.submit(run, predicted, counted, config, label))
    return scored


def write_scores(ledger: Ledger, scored: Scored) -> None:
    """Write the rows of one model on one data set."""
    with ledger.guard(scored.artifact.name):
        rows = [row for future in scored.rows for row in future.result()]
        for future in scored.analysed:
            analysed = future.result()
            ledger.note(analysed.tables)
            rows += analysed.metrics
        ledger.note({"metrics": steps.write_metrics(ledger.run, scored.artifact, scored.dataset, quote(rows))})
        ledger.metrics += rows


def score_own(ledger: Ledger, config: Config, scored: Scored) -> None:
    """Metrics of the user's own on one model and data set, one after another, as they may load the model."""
    with ledger.guard(f"{scored.artifact.name} (metrics of your own)"):
        rows = [
            row
            for predicted in ledger.predictions(scored.artifact, scored.dataset)
            for row in steps.score_own(ledger.run, predicted, config, scored.artifact)
        ]
        if rows:
            ledger.note({"metrics": steps.write_own(ledger.run, scored.artifact, scored.dataset, quote(rows))})
            ledger.metrics += rows


def summarise_seeds(ledger: Ledger, model: ModelConfig) -> None:
    """Mean and standard deviation over a model's seeds, where all of them were scored."""
    with ledger.guard(model.name):
        if rows := seed_rows(model, ledger.metrics):
            ledger.note({"metrics": steps.write_seeds(ledger.run, model, quote(rows))})
            ledger.metrics += rows
