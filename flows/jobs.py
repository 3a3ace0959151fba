"""What `run`, `train` and `benchmark` check before a flow starts, so that a wrong request writes nothing."""

from collections.abc import Sequence
from typing import Any

from artifacts.errors import ConfigError
from flows.launch import quiet, running
from tasks.config import Config
from tasks.configfile import absolute_reference


def run(config: Config) -> dict[str, Any]:
    """Train, save and benchmark."""
    _check_training(config)
    _check_benchmark(config)
    quiet()
    from flows.pipeline import pipeline

    with running():
        return pipeline(config)


def train(config: Config) -> dict[str, Any]:
    """Train and save."""
    _check_training(config)
    quiet()
    from flows.train import train

    with running():
        return train(config)


def benchmark(config: Config, references: Sequence[str] | None, *, refresh: bool) -> dict[str, Any]:
    """Benchmark stored models: the references given, or the configuration's."""
    from artifacts.references import resolve

    _check_benchmark(config)
    models = [absolute_reference(reference) for reference in references or config.benchmark.models]
    for reference in models:
        resolve(reference, config.store)
    quiet()
    from flows.benchmark import benchmark

    with running():
        return benchmark(config, models=models, refresh=refresh)


def _check_training(config: Config) -> None:
    if not config.models:
        raise ConfigError("models", "there is no model to train", "add one, e.g. {name: tagger, base: bert-base-uncased}")
    for model in config.models:
        dataset = config.dataset_of(model)
        for split in ("train", "validation"):
            if dataset.format == "conll" and split not in dataset.files:
                field = f"datasets: {dataset.name}: files"
                raise ConfigError(field, f"there is no {split} file, which training {model.name} needs", f"add {split}: FILE")


def _check_benchmark(config: Config) -> None:
    from tasks.corpora import describe
    from tasks.modeling import dtype_of, resolve_device

    if not config.datasets:
        raise ConfigError("datasets", "there is no corpus to benchmark on", "add one, e.g. {name: mine, files: {test: test.txt}}")
    dtype_of(config.benchmark.precision, resolve_device(config.benchmark.device))
    known = {kind for dataset in config.datasets for kind in describe(config, dataset)[0].types}
    if config.benchmark.labels != "all" and (unknown := sorted(set(config.benchmark.labels) - known)):
        raise ConfigError("benchmark.labels", f"no corpus has {', '.join(unknown)}", f"give some of {', '.join(sorted(known))}")
