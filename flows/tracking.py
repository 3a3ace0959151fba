"""Log the results of a run to an experiment tracker, if one is configured."""

from nerbench.flows.recording import Ledger
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config


def track(ledger: Ledger, config: Config) -> None:
    """Log the models of the run. An error of the tracker fails the run after all tables are written."""
    if config.track and ledger.metrics:
        with ledger.guard(config.track):
            tasks.track(ledger.run, config, ledger.artifacts, ledger.tables)
