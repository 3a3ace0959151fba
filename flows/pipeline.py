"""The default flow: train, save and benchmark."""

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
    """Fine-tune the models in the configuration, publish them, and benchmark the published models.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
    """
    config = configuration(config, SECTIONS)
    with fanned_out(config), reported(config) as page, recorded(config) as ledger:
        artifacts = train_models(ledger, config)
        benchmark_models(ledger, config, artifacts)
    return returned(ledger.summary() | page)
