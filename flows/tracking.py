"""What a run found, told to an experiment tracker, where the configuration names one."""

from nerbench.flows.recording import Ledger
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config


def track(ledger: Ledger, config: Config) -> None:
    """Log the models of the run; a tracker that fails lets the run fail once all tables are written."""
    if config.track and ledger.metrics:
        with ledger.guard(config.track):
            tasks.track(ledger.run, config, ledger.artifacts, ledger.tables)
