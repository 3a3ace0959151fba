"""Score predictions of earlier runs with the current metrics, without loading a model or running inference."""

from typing import Any

from prefect import flow

from nerbench.flows.recording import Ledger, recorded
from nerbench.flows.request import configuration
from nerbench.flows.rows import returned
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.results.nights import ScoredPredictions


@flow(name="score")
def score(config: Config, since: str | None = None) -> dict[str, Any]:
    """Add missing scores to the tables of every run on or after the date `since`; existing rows stay unchanged.

    Predictions that several runs share are scored once. If a metric fails, its row gives the reason.
    """
    config = configuration(config, ("metrics", "slices"))
    with recorded(config) as ledger:
        for scored in tasks.find_scored(config.results, since):
            score_again(ledger, config, scored)
    return returned(ledger.summary())


def score_again(ledger: Ledger, config: Config, scored: ScoredPredictions) -> None:
    """Score predictions once and add missing rows to each run. Lost predictions fail the flow at its end."""
    with ledger.guard(scored.name):
        predicted = tasks.find_predictions(scored)
        rows = tasks.score_stored(predicted, config)
        for run in scored.runs:
            uri, added = tasks.write_missing(run, predicted, rows)
            ledger.note({"metrics": uri} if uri else {})
            ledger.metrics += added
