"""The names of flow runs in Prefect."""

import re
from collections.abc import Callable

from prefect.runtime import flow_run

from nerbench.artifacts.errors import InputError
from nerbench.flows.request import configuration
from nerbench.tasks.config import Config


def training_name() -> str:
    """`train minilm-l6, minilm-l3`."""
    return _named(_training)


def benchmark_name() -> str:
    """`benchmark minilm-l6@latest on conllpp`."""
    return _named(_benchmark)


def pipeline_name() -> str:
    """`train minilm-l6, minilm-l3 and benchmark on conllpp`."""
    return _named(lambda config: f"{_training(config)} and benchmark on {_datasets(config)}")


def _named(name: Callable[[Config], str]) -> str:
    try:
        return name(configuration(flow_run.parameters.get("config"), needs=()))
    except InputError:  # the flow itself reports it
        return str(flow_run.flow_name)


def _training(config: Config) -> str:
    return f"train {', '.join(model.name for model in config.models)}"


def _benchmark(config: Config) -> str:
    models = flow_run.parameters.get("models") or config.benchmark.models
    on = f" on {_datasets(config)}" if config.datasets else ""
    return f"benchmark {', '.join(map(_short, models)) or 'functions'}{on}"


def _short(reference: str) -> str:
    """The location of a manifest as name and digest."""
    return re.sub(r".*/models/([^/]+)/manifests/([0-9a-f]{12})[0-9a-f]{52}\.json", r"\1@sha256:\2", reference)


def _datasets(config: Config) -> str:
    return ", ".join(dataset.name for dataset in config.datasets)
