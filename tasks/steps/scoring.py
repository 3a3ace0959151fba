"""Steps from stored predictions to numbers."""

from collections.abc import Sequence
from typing import Any

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.analysis import writing
from nerbench.tasks.analysis.writing import Analysed
from nerbench.tasks.config import BenchmarkConfig, Config, ModelConfig
from nerbench.tasks.corpora.refs import CorpusRef
from nerbench.tasks.custom import own
from nerbench.tasks.inference.evaluation import EvaluationRecord
from nerbench.tasks.results import nights, rows
from nerbench.tasks.results.nights import ScoredPredictions
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.runs import Run
from nerbench.tasks.scoring import counting
from nerbench.tasks.scoring.counting import CountedPredictions
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.step import Rows, step


@step(task_run_name="count {artifact.name} against {corpus.gold_name}", **STORAGE)
def count(
    artifact: ArtifactRef, record: EvaluationRecord, corpus: CorpusRef, config: Config, results: str
) -> CountedPredictions:
    """Count stored predictions of one model against one annotation, slice by slice."""
    return counting.count_predictions(results, artifact, record, corpus, config)


def _some_labels(parameters: dict[str, Any]) -> str:
    predicted, labels = parameters["predicted"], parameters["labels"]
    named = ", ".join(labels) if len(labels) < 3 else f"{len(labels)} labels, {labels[0]} … {labels[-1]}"
    return f"score {predicted.model} against {predicted.gold}: {named}"


@step(task_run_name=_some_labels, **STORAGE)  # type: ignore[arg-type]
def score(
    run: Run, predicted: Predicted, counted: CountedPredictions, config: Config, labels: Sequence[str]
) -> Sequence[Row]:
    """The `metrics` rows of some labels."""
    scored = (row for label in labels for row in counting.score_counts(run.results, counted, label, config))
    return Rows(rows.metric_rows(run, predicted, scored))


@step(task_run_name="score {predicted.model} against {predicted.gold}: metrics of your own")
def score_own(run: Run, predicted: Predicted, config: Config, artifact: ArtifactRef | None) -> list[Row]:
    """The `metrics` rows of a user's own metrics that look at predictions, or at the model; never cached."""
    return rows.metric_rows(run, predicted, own.score_own(predicted, config, artifact))


@step(task_run_name="analyse {predicted.model} against {predicted.gold}", **STORAGE)
def analyse(run: Run, predicted: Predicted, benchmark: BenchmarkConfig) -> Analysed:
    """Write `confusion`, `errors` and `calibration`, unless they stand there already."""
    return writing.analyse(run, predicted, benchmark)


@step(task_run_name="write metrics of {artifact.name} on {dataset}", **STORAGE)
def write_metrics(run: Run, artifact: ArtifactRef, dataset: str, scored: Sequence[Row]) -> str:
    """Write the `metrics` of one model on one data set."""
    return rows.write_metrics(run, artifact, dataset, scored)


@step(task_run_name="write your own metrics of {artifact.name} on {dataset}", **STORAGE)
def write_own(run: Run, artifact: ArtifactRef, dataset: str, scored: Sequence[Row]) -> str:
    """Write the rows of a user's own metrics of one model on one data set."""
    return rows.write_own(run, artifact, dataset, scored)


@step(task_run_name="write mean and deviation of {model.name}", **STORAGE)
def write_seeds(run: Run, model: ModelConfig, scored: Sequence[Row]) -> str:
    """Write the `metrics` rows over the seeds of one model."""
    return rows.write_seeds(run, model.name, scored)


@step(task_run_name="find what was scored since {since}", **STORAGE)
def find_scored(results: str, since: str | None) -> list[ScoredPredictions]:
    """All predictions that runs since that date have scored."""
    return nights.scored_predictions(results, since)


@step(task_run_name="find the predictions of {scored.name}", **STORAGE)
def find_predictions(scored: ScoredPredictions) -> Predicted:
    """Where predictions are that runs have scored."""
    return scored.predicted


@step(task_run_name="score {predicted.model} against {predicted.gold} again", **STORAGE)
def score_stored(predicted: Predicted, config: Config) -> list[Row]:
    """Every number of stored predictions."""
    return own.score_stored(predicted, config)


@step(task_run_name="add to the metrics of {run.run_id}", **STORAGE)
def write_missing(run: Run, predicted: Predicted, scored: Sequence[Row]) -> tuple[str | None, list[Row]]:
    """Add to an earlier run's `metrics` what it lacks."""
    return nights.write_missing(run, predicted, scored)
