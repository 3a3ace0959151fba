"""The default flow: train, save and benchmark."""

from typing import Any

from prefect import flow

from nerbench.flows.benchmark import benchmark_models
from nerbench.flows.clone_check import require_installed
from nerbench.flows.request import DEFAULT_REQUEST, Request, configuration, returned
from nerbench.flows.run_context import recorded, reported
from nerbench.flows.run_names import pipeline_name
from nerbench.flows.task_runners import fanned_out
from nerbench.flows.train import train_models
from nerbench.tasks.config.loading import SECTIONS

require_installed(__name__, __file__)


@flow(name="pipeline", flow_run_name=pipeline_name)
def pipeline(config: Request = DEFAULT_REQUEST) -> dict[str, Any]:
    """Fine-tune the models in the configuration, publish them, and benchmark the published models.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
    """
    config = configuration(config, SECTIONS)
    with fanned_out(config), reported(config) as page, recorded(config) as recorder:
        artifacts = train_models(recorder, config)
        benchmark_models(recorder, config, artifacts)
    return returned(recorder.summary() | page)
