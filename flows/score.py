"""Score predictions of earlier runs with the current metrics, without loading a model or running inference."""

from typing import Any

from prefect import flow

from nerbench.flows.request import configuration, returned
from nerbench.flows.run_context import RunRecorder, recorded
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.results.rescoring import ScoredPredictions


@flow(name="score")
def score(config: Config, since: str | None = None) -> dict[str, Any]:
    """Add missing scores to the tables of every run on or after the date `since`; existing rows stay unchanged.

    Predictions that several runs share are scored once. If a metric fails, its row gives the reason.
    """
    config = configuration(config, ("metrics", "slices"))
    with recorded(config) as recorder:
        for scored in tasks.find_scored(config.results, since):
            score_again(recorder, config, scored)
    return returned(recorder.summary())


def score_again(recorder: RunRecorder, config: Config, scored: ScoredPredictions) -> None:
    """Score predictions once and add missing rows to each run. Lost predictions fail the flow at its end."""
    with recorder.guard(scored.name):
        predicted = tasks.find_predictions(scored)
        rows = tasks.score_stored(predicted, config)
        for run in scored.runs:
            uri, added = tasks.write_missing(run, predicted, rows)
            recorder.note_metrics(filter(None, [uri]), added)
