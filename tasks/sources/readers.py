"""Which reader a data set is read by."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from nerbench.tasks.config import DatasetConfig, Format
from nerbench.tasks.sources.sentences import Source

# Named, not imported: each brings libraries that only its own format needs.
FILE_FORMATS: dict[Format, tuple[str, str]] = {
    "conll": ("nerbench.tasks.sources.conll", "read_conll"),
    "parquet": ("nerbench.tasks.sources.tabular", "read_parquet"),
    "json": ("nerbench.tasks.sources.jsonlines", "read_json"),
}
_OF_DATASETS: dict[Format, tuple[str, str]] = {
    "hub": ("nerbench.tasks.sources.hub", "read_hub"),
    "datasets": ("nerbench.tasks.sources.hub", "read_saved"),
    "loader": ("nerbench.tasks.sources.loader", "read_loader"),
}


def read_splits(config: DatasetConfig) -> Mapping[str, Source]:
    """The splits that are declared, or that the data set has; each is read when its sentences are asked for.

    Raises:
        CorpusError: the data set cannot be loaded.
    """
    if config.format in _OF_DATASETS:
        sources: Mapping[str, Source] = _function(*_OF_DATASETS[config.format])(config)
        return sources
    read = _function(*FILE_FORMATS[config.format])
    return {split: read(path, config) for split, path in config.files.items()}


def _function(module: str, name: str) -> Any:
    return getattr(import_module(module), name)
