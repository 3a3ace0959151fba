"""Learning curves: train on shares of the data, save and benchmark, and report what more data would bring."""

from typing import Any

from prefect import flow

from nerbench.flows.benchmark import benchmark_models
from nerbench.flows.request import DEFAULT_REQUEST, Request, configuration, in_form, returned
from nerbench.flows.run_context import recorded, reported
from nerbench.flows.run_names import pipeline_name
from nerbench.flows.task_runners import fanned_out
from nerbench.flows.train import train_models
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.analysis.learning_curve import SHARES, curve_config, learning_curves
from nerbench.tasks.config.loading import SECTIONS


@in_form("shares")
@flow(name="curve", flow_run_name=pipeline_name)
def curve(config: Request = DEFAULT_REQUEST, shares: tuple[int, ...] = SHARES) -> dict[str, Any]:
    """Train every model in the configuration on shares of the train split, with several seeds, and benchmark them.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
        shares: Percentages of the train split.
    """
    config = configuration(config, SECTIONS)
    curved = curve_config(config, shares)
    with fanned_out(curved), reported(curved) as page, recorded(curved) as recorder:
        benchmark_models(recorder, curved, train_models(recorder, curved))
        rows = learning_curves(config, curved, recorder.metrics)
        tasks.show("nerbench-curve", rows)
    return returned(recorder.summary() | page | {"curve": rows})
