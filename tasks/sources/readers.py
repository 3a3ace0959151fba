"""Which reader a data set is read by."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from tasks.config import DatasetConfig, Format
from tasks.sources.sentences import Source

# Named, not imported: each brings libraries that only its own format needs.
FILE_FORMATS: dict[Format, tuple[str, str]] = {
    "conll": ("tasks.sources.conll", "read_conll"),
    "parquet": ("tasks.sources.tabular", "read_parquet"),
    "json": ("tasks.sources.jsonlines", "read_json"),
}
_OF_DATASETS: dict[Format, tuple[str, str]] = {
    "hub": ("tasks.sources.hub", "read_hub"),
    "loader": ("tasks.sources.loader", "read_loader"),
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
