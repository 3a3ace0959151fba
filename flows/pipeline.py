"""Train → save → benchmark: the default job."""

from typing import Any

from prefect import flow

from flows.benchmark import benchmark_models
from flows.identity import pipeline_name
from flows.recording import recorded
from flows.train import train_models
from tasks.config import Config


@flow(name="pipeline", flow_run_name=pipeline_name)
def pipeline(config: Config) -> dict[str, Any]:
    """Fine-tune the models of the configuration, publish them, and benchmark what was published."""
    with recorded(config) as ledger:
        artifacts = train_models(ledger, config)
        benchmark_models(ledger, config, artifacts)
    return ledger.summary()
