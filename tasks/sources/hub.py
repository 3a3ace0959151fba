"""Reads data sets of the Hugging Face Hub, or local folders in its layout, through `datasets`.

Only formats that hold data and nothing else are opened: a data set that needs a script or holds pickles is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.sources.records import find_columns, read_records
from nerbench.tasks.sources.sentences import Sentence, Source
from nerbench.tasks.sources.tabular import arrow_records, check_columns

SPLITS = ("train", "validation", "test")
_FORMATS = {"parquet", "json", "arrow", "csv"}
# `conllpp` itself is a script, which `datasets` no longer runs; the Hub keeps its Parquet conversion under this name.
_CONVERTED = {"conllpp": ("ZihanWangKi/conllpp", "refs/convert/parquet")}


def read_hub(config: DatasetConfig) -> dict[str, Source]:
    """Those of the splits train, validation and test that the data set has.

    Integer tags are named by `config.labels`, or else by the data set's ClassLabel.

    Raises:
        CorpusError: the data set cannot be loaded, or has none of the splits; while it is read: it lacks a column, or
            has a row that is no sentence.
    """
    loaded = _load(config)
    found = {split: loaded[split] for split in SPLITS if split in loaded}
    if not found:
        has = ", ".join(map(str, loaded)) or "none"
        raise CorpusError(
            f"dataset {config.name}", "it has no split train, validation or test", f"its splits are {has}"
        )
    return {split: _source(rows, f"{config.path}[{split}]", config) for split, rows in found.items()}


def _load(config: DatasetConfig) -> Any:
    import datasets

    path, revision = str(config.path), config.revision
    if path in _CONVERTED and not Path(path).is_dir():
        path, converted = _CONVERTED[path]
        revision = revision or converted
    try:
        builder = datasets.load_dataset_builder(path, config.config, revision=revision)
        layout = type(builder).__module__.split(".")[-1]
        if layout in _FORMATS:
            builder.download_and_prepare()
            return builder.as_dataset()
    except Exception as error:  # datasets raises whatever the Hub, the network and each file format raise
        reason = str(error).strip() or type(error).__name__
        raise CorpusError(
            f"dataset {config.name}",
            f"{config.path} cannot be loaded ({reason})",
            "check `path`, `config` and `revision`; a script data set needs `revision: refs/convert/parquet`",
        ) from error
    raise CorpusError(f"dataset {config.name}", f"{config.path} is a {layout} data set", "convert it to Parquet")


def _source(rows: Any, name: str, config: DatasetConfig) -> Source:
    return Source(name, _sentences(rows, name, config), lambda at, word: f"{name} row {at} word {word}")


def _sentences(rows: Any, name: str, config: DatasetConfig) -> Iterator[Sentence]:
    columns = find_columns(rows.column_names, name, config)
    labels = config.labels or getattr(getattr(rows.features[columns.tags], "feature", None), "names", ())
    check_columns(rows.features.arrow_schema, columns, name, named=bool(labels))
    tables = rows.select_columns(list({c for c in columns if c})).with_format("arrow").iter(batch_size=2048)
    yield from read_records(arrow_records(tables, columns), lambda at: f"{name} row {at}", labels)
