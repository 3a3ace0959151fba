"""Train → save → benchmark: the default job."""

from typing import Any

from prefect import flow

from nerbench.flows.benchmark import benchmark_models
from nerbench.flows.identity import pipeline_name
from nerbench.flows.recording import recorded
from nerbench.flows.reporting import reported
from nerbench.flows.request import Request, configuration
from nerbench.flows.rows import returned
from nerbench.flows.runners import fanned_out
from nerbench.flows.train import train_models
from nerbench.tasks.configuration.configfile import SECTIONS


@flow(name="pipeline", flow_run_name=pipeline_name)
def pipeline(config: Request = None) -> dict[str, Any]:
    """Fine-tune the models of the configuration, publish them, and benchmark what was published.

    Args:
        config: A YAML file where the flow runs (nerbench.yaml by default), or the whole configuration.
    """
    config = configuration(config, SECTIONS)
    with fanned_out(config), reported(config) as page, recorded(config) as ledger:
        artifacts = train_models(ledger, config)
        benchmark_models(ledger, config, artifacts)
    return returned(ledger.summary() | page)
