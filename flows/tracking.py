"""What a run found, told to an experiment tracker, where the configuration names one."""

from flows.recording import Ledger
from tasks.config import Config
from tasks.steps import reporting


def track(ledger: Ledger, config: Config) -> None:
    """Log the models of the run; a tracker that fails lets the run fail once all tables are written."""
    if config.track and ledger.metrics:
        with ledger.guard(config.track):
            reporting.track(ledger.run, config, ledger.artifacts, ledger.tables)
