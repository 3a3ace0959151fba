"""Reads through Hugging Face's `datasets`: data sets of the Hub, folders in its layout or of `save_to_disk`, objects.

Only pure data formats are opened: a data set that needs a script or contains pickles is refused.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.parquet_files import arrow_records, check_columns
from nerbench.tasks.data.readers import Sentence, Source
from nerbench.tasks.data.records import TextColumns, find_columns, read_records
from nerbench.tasks.data.spans import LABEL_KEYS

SPLITS = ("train", "validation", "test")
_DOCUMENT = "document"
"""The column of documents in the result of `nerbench.load_corpus`."""
_FORMATS = {"parquet", "json", "arrow", "csv"}
# `conllpp` itself is a script, which `datasets` no longer runs; the Hub keeps its Parquet conversion under this name.
_CONVERTED = {"conllpp": ("ZihanWangKi/conllpp", "refs/convert/parquet")}


def read_hub(config: DatasetConfig) -> dict[str, Source]:
    """The splits train, validation and test of a data set, as far as it has them.

    `config.labels` names integer tags, or else the ClassLabel of the data set.

    Raises:
        CorpusError: the data set cannot be loaded, or has none of the splits; during reading: a column is missing, or
            a row is not a sentence.
    """
    loaded = _load(config)
    found = {split: loaded[split] for split in SPLITS if split in loaded}
    if not found:
        has = ", ".join(map(str, loaded)) or "none"
        raise CorpusError(
            f"dataset {config.name}", "it has no split train, validation or test", f"its splits are {has}"
        )
    return {split: _source(rows, f"{config.path}[{split}]", config) for split, rows in found.items()}


def read_saved(config: DatasetConfig) -> dict[str, Source]:
    """The splits of a folder written by `DatasetDict.save_to_disk` or `Dataset.save_to_disk`.

    Raises:
        CorpusError: it is not such a folder, or names files outside of itself; also as `read_objects`.
    """
    import datasets

    folder = str(config.path)
    try:
        loaded = datasets.load_from_disk(folder)
    except Exception as error:  # as above
        problem = f"{folder} cannot be loaded ({str(error).strip() or type(error).__name__})"
        raise CorpusError(f"dataset {config.name}", problem, "name a folder made by `save_to_disk`") from error
    parts = loaded.values() if isinstance(loaded, dict) else [loaded]
    files = [Path(file["filename"]).resolve() for rows in parts for file in rows.cache_files]
    if "://" not in folder and not all(file.is_relative_to(Path(folder).resolve()) for file in files):
        problem = f"{folder} names Arrow files outside itself"
        raise CorpusError(f"dataset {config.name}", problem, "save the data set again with `save_to_disk`")
    return read_objects(loaded, folder, config)


def read_objects(loaded: Any, name: str, config: DatasetConfig) -> dict[str, Source]:
    """The splits of a `DatasetDict`. A `Dataset` is the split that its `split` names, or else `all`.

    Documents are read from a column `document`, unless another one is declared.

    Raises:
        CorpusError: it has no split train, validation or test; during reading: as `read_hub`.
    """
    splits = loaded if isinstance(loaded, dict) else {str(loaded.split): loaded}
    found = {split: rows for split, rows in splits.items() if split in SPLITS}
    if not isinstance(loaded, dict) and not found:
        found = {"all": loaded}
    if not found:
        problem = f"{name} has no split train, validation or test"
        raise CorpusError(f"dataset {config.name}", problem, f"its splits are {', '.join(map(str, splits)) or 'none'}")
    return {split: _source(rows, f"{name}[{split}]", config, _DOCUMENT) for split, rows in found.items()}


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
    except Exception as error:  # datasets passes on errors of the Hub, the network and every file format
        reason = str(error).strip() or type(error).__name__
        raise CorpusError(
            f"dataset {config.name}",
            f"{config.path} cannot be loaded ({reason})",
            "check `path`, `config` and `revision`; a script data set needs `revision: refs/convert/parquet`",
        ) from error
    raise CorpusError(f"dataset {config.name}", f"{config.path} is a {layout} data set", "convert it to Parquet")


def _source(rows: Any, name: str, config: DatasetConfig, document: str | None = None) -> Source:
    return Source(name, _sentences(rows, name, config, document), lambda at, word: f"{name} row {at} word {word}")


def _sentences(rows: Any, name: str, config: DatasetConfig, document: str | None) -> Iterator[Sentence]:
    columns = find_columns(rows.column_names, name, config)
    if columns.document is None and document in rows.column_names:
        columns = columns._replace(document=document)
    feature = rows.features[columns[1]]
    if isinstance(columns, TextColumns):
        keys = getattr(feature, "feature", feature)
        feature = next((keys[key] for key in LABEL_KEYS if key in keys), None) if isinstance(keys, dict) else None
    feature = getattr(feature, "feature", feature)
    labels = config.labels or getattr(feature, "names", ())
    check_columns(rows.features.arrow_schema, columns, name, named=bool(labels))
    tables = rows.select_columns(list({c for c in columns if c})).with_format("arrow").iter(batch_size=2048)
    yield from read_records(arrow_records(_whole(tables, name), columns), lambda at: f"{name} row {at}", config, labels)


def _whole(tables: Iterator[pa.Table], name: str) -> Iterator[pa.Table]:
    """The tables, validated: Arrow files are memory-mapped unchecked, and their offsets may point out of bounds."""
    for table in tables:
        try:
            table.validate(full=True)
        except pa.ArrowInvalid as error:
            raise CorpusError(name, f"is damaged ({error})", "write the data set again") from error
        yield table
