"""From evaluations to scores: store predictions, count matches, score and write."""

from collections.abc import Sequence
from typing import NamedTuple

from prefect.futures import PrefectFuture

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.evaluating import Evaluated
from nerbench.flows.recording import Ledger
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.analysis.writing import Analysed
from nerbench.tasks.config import Config, ModelConfig
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.seeds import seed_rows


class Scored(NamedTuple):
    """The scores of one model on one data set."""

    artifact: ArtifactRef
    dataset: str
    rows: list[PrefectFuture[Sequence[Row]]]
    """One per annotation and chunk of labels."""
    analysed: list[PrefectFuture[Analysed]]
    """One per annotation."""


def score_model(ledger: Ledger, config: Config, evaluated: Evaluated) -> Scored:
    """Store predictions, count matches with every annotation, then score the labels in parallel."""
    artifact, run, chunk = evaluated.artifact, ledger.run, config.runner.cells_per_task
    scored = Scored(artifact, evaluated.annotations[0].dataset.name, [], [])
    with ledger.guard(artifact.name):
        for corpus in evaluated.annotations:
            predicted = tasks.write_predictions(run, artifact, evaluated.record, corpus, config.benchmark)
            ledger.note_predictions(predicted)
            counted = tasks.count(config.results, artifact, evaluated.record, corpus, config)
            scored.analysed.append(tasks.analyse.submit(run, predicted, config.benchmark))
            for at in range(0, len(counted.labels), chunk):
                labels = counted.labels[at : at + chunk]
                scored.rows.append(tasks.score.submit(run, predicted, counted, config, labels))
    return scored


def write_scores(ledger: Ledger, scored: Scored) -> None:
    """Write the rows of one model on one data set."""
    with ledger.guard(scored.artifact.name):
        rows = [row for future in scored.rows for row in future.result()]
        for future in scored.analysed:
            analysed = future.result()
            ledger.note(analysed.tables)
            rows += analysed.metrics
        ledger.note({"metrics": tasks.write_metrics(ledger.run, scored.artifact, scored.dataset, rows)})
        ledger.metrics += rows


def score_own(ledger: Ledger, config: Config, scored: Scored) -> None:
    """Metrics of the user's own on one model and data set, one after another, as they may load the model."""
    with ledger.guard(f"{scored.artifact.name} (metrics of your own)"):
        rows = [
            row
            for predicted in ledger.predictions(scored.artifact, scored.dataset)
            for row in tasks.score_own(ledger.run, predicted, config, scored.artifact)
        ]
        if rows:
            ledger.note({"metrics": tasks.write_own(ledger.run, scored.artifact, scored.dataset, rows)})
            ledger.metrics += rows


def summarise_seeds(ledger: Ledger, model: ModelConfig) -> None:
    """Write mean and standard deviation over a model's seeds, if all of them have scores."""
    with ledger.guard(model.name):
        if rows := seed_rows(model, ledger.metrics):
            ledger.note({"metrics": tasks.write_seeds(ledger.run, model.name, rows)})
            ledger.metrics += rows
