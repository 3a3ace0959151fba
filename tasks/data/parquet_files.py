"""Reads Parquet files: one sentence per row, as lists of words and tags, or one text per row, with its spans."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.tables.parquet_bounds import check_groups, open_footer, plain_column, text_columns
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.readers import Sentence, Source
from nerbench.tasks.data.records import Columns, Record, TextColumns, find_columns, read_records, record_of
from nerbench.tasks.data.spans import LABEL_KEYS, Text
from nerbench.tasks.data.text_files import open_file

_ROWS = 2048
_AT_ONCE = 64
"""Number of rows that are Python objects at a time."""
_MAX_BYTES = 1 << 24
"""Maximum bytes of these rows in Arrow's format."""


def read_parquet(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file (a path or an fsspec URL); rows are numbered from 0.

    `config.labels` names integer tags, or else the ClassLabel that `datasets` writes into the file.

    Reading raises CorpusError: the file is missing or not Parquet, a column is missing, or a row is not a sentence.
    """
    return Source(path, _parquet(path, config), lambda at, word: f"{path} row {at} word {word}")


def _parquet(path: str, config: DatasetConfig) -> Iterator[Sentence]:
    with closing(open_file(path)) as file:
        with corpus_error_if_unreadable(path, "is not a Parquet file"):
            parquet = open_footer(file)
        columns = find_columns(parquet.schema_arrow.names, path, config)
        labels = config.labels or _class_label(parquet.schema_arrow, columns)
        check_columns(parquet.schema_arrow, columns, path, named=bool(labels))
        names = {name for name in columns if name}
        with corpus_error_if_unreadable(path, "cannot be read"):
            check_groups(file, parquet.metadata, names)
            texts = [leaf for leaf in text_columns(parquet.metadata) if leaf.partition(".")[0] in names]
            parquet = open_footer(file, texts, parquet.metadata)
        batches = _batches(parquet, sorted(names), path)
        yield from read_records(arrow_records(batches, columns), lambda at: f"{path} row {at}", config, labels)


def check_columns(schema: pa.Schema, columns: Columns | TextColumns, source: str, *, named: bool) -> None:
    """Refuse columns that are neither lists of words and lists of tags nor texts and spans.

    `named`: whether integer tags have names. Raises CorpusError.
    """
    if isinstance(columns, TextColumns):
        if not _is_text(schema.field(columns.text).type):
            problem = f"{columns.text} is not a column of texts, but of {schema.field(columns.text).type}"
            raise CorpusError(source, problem, "name another one in columns.text")
        return
    words, tags = (_element(schema.field(column).type) for column in (columns.words, columns.tags))
    if words is None or not _is_text(words):
        problem = f"{columns.words} is not a column of lists of words, but of {schema.field(columns.words).type}"
        raise CorpusError(source, problem, "name another one in columns.words")
    if tags is None or not (_is_text(tags) or pa.types.is_integer(tags)):
        problem = f"{columns.tags} does not hold lists of strings or integers, but {schema.field(columns.tags).type}"
        raise CorpusError(source, problem, "name another one in columns.tags")
    if not named and not _is_text(tags):
        problem = f"{columns.tags} holds integers without names"
        raise CorpusError(source, problem, "declare the data set's `labels`, e.g. [O, B-PER, I-PER]")


def arrow_records(batches: Iterable[Any], columns: Columns | TextColumns) -> Iterator[Record | Text]:
    """A record for each row of these columns of record batches or tables."""
    row = 0
    for batch in batches:
        parts = [[None] * batch.num_rows if name is None else batch.column(name).to_pylist() for name in columns]
        for values in zip(*parts, strict=True):
            yield record_of(row, columns, values)
            row += 1


def _batches(parquet: pq.ParquetFile, names: list[str], path: str) -> Iterator[pa.Table]:
    # Arrow cannot join lists of dictionaries across row groups.
    groups = (parquet.iter_batches(_ROWS, row_groups=[n], columns=names) for n in range(parquet.num_row_groups))
    batches = chain.from_iterable(groups)
    while True:
        with corpus_error_if_unreadable(path, "cannot be read"):
            batch = next(batches, None)
            if batch is None:
                return
            rows = pa.table([plain_column(pa.chunked_array([c])) for c in batch.columns], batch.schema.names)
            slices = [rows.slice(start, _AT_ONCE) for start in range(0, len(rows), _AT_ONCE)]
            if (largest := max((one.nbytes for one in slices), default=0)) > _MAX_BYTES:
                raise ValueError(f"{_AT_ONCE} rows have {largest} bytes, more than {_MAX_BYTES}")
        yield from slices


@contextmanager
def corpus_error_if_unreadable(path: str, problem: str) -> Iterator[None]:
    """Raise CorpusError for a file with invalid content. Connection errors are passed on."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:  # Arrow also raises OSError for invalid content
        raise CorpusError(path, f"{problem} ({error})", "check the `format` of the data set, or the file") from error


def _element(kind: pa.DataType) -> pa.DataType | None:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return kind.value_type if is_list else None


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _class_label(schema: pa.Schema, columns: Columns | TextColumns) -> Sequence[str]:
    """The label names that `datasets` stores for a column of ClassLabel numbers, or of spans with such labels."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][columns[1]]
        feature = feature.get("feature", feature)
        if isinstance(columns, TextColumns):
            label = next(feature[key] for key in LABEL_KEYS if key in feature)
            feature = label.get("feature", label)
        names = feature["names"]
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        return ()
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
