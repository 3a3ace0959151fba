"""One Parquet file of a result table: typed rows to bytes with checksums, and back."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from datetime import date as calendar_date
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.tables.parquet_bounds import (
    MAX_ROWS,
    Stream,
    batches,
    bounded,
    corrupt_if_unreadable,
    plain_part,
    read_table,
)
from nerbench.artifacts.tables.schemas import TABLES, schema
from nerbench.artifacts.tables.upgrading import earlier_columns, is_earlier, upgraded
from nerbench.artifacts.unnamed_files import mapped, unnamed_file

FEWEST_ROWS, MOST_GROUPS = 2_048, 16
"""Rows of a row group of a packed file, and their number."""
_FEW_ROWS = 8
_ROWS = {"errors": 1 << 14}
"""Rows of a row group of the table whose rows have whole sentences: a reader holds a row group in memory."""
_PART = 1 << 12
"""Rows of a part of a file."""


def as_table(table: str, data: pa.Table | list[dict[str, Any]], date: str) -> pa.Table:
    """Untyped rows of a table with their logical date. Raises ValueError for a column that the table does not have."""
    declared = schema(table)
    given = data.column_names if isinstance(data, pa.Table) else sorted({name for row in data for name in row})
    if unknown := [name for name in given if name not in declared.names]:
        raise ValueError(f"the table {table} has no column {unknown[0]}")
    rows = data if isinstance(data, pa.Table) else pa.Table.from_pylist(data, schema=declared)
    dates = pa.repeat(pa.scalar(calendar_date.fromisoformat(date), pa.date32()), min(rows.num_rows, MAX_ROWS))
    run_date = _repeated(dates, rows.num_rows)
    return rows.drop_columns({"run_date"} & {*rows.column_names}).append_column("run_date", run_date)


def as_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Like `to_pylist`, but faster for timestamps with a time zone, for which `to_pylist` imports pandas if installed.

    These are returned in UTC. A nested timestamp is converted by `to_pylist`.
    """
    instants = [field.name for field in rows.schema if pa.types.is_timestamp(field.type) and field.type.tz]
    for name in instants:
        naive = rows[name].cast(pa.timestamp(rows.schema.field(name).type.unit))
        rows = rows.set_column(rows.column_names.index(name), name, naive)
    found: list[dict[str, Any]] = rows.to_pylist()
    for row in found:
        for name in instants:
            row[name] = row[name] and row[name].replace(tzinfo=UTC)
    return found


def serialised(table: str, rows: pa.Table) -> bytes:
    """The bytes of a file with these rows and the declared types.

    The strings of few rows are written without dictionaries, which would take longer to read than the rows. Raises
    ValueError for nulls in a key column and for NaN; an undefined number is null.
    """
    parts = (_typed(table, part) for part in _slices(rows, _ROWS.get(table, MAX_ROWS)))
    dictionaries = _texts(schema(table)) if rows.num_rows > _FEW_ROWS else []
    return _written(schema(table), parts, dictionaries)


def as_parquet(rows: pa.Table) -> bytes:
    """The bytes of a file with these rows and their types, in at most MOST_GROUPS row groups unless they are large.

    A reader with filters skips row groups by their statistics; but each takes a millisecond to check. Dictionaries of
    texts that hardly repeat, such as digests, would only take longer to read.
    """
    most = min(MAX_ROWS, max(FEWEST_ROWS, -(-rows.num_rows // MOST_GROUPS)))
    repeated = [name for name in _texts(rows.schema) if 2 * pc.count_distinct(rows[name]).as_py() <= rows.num_rows]
    return _written(rows.schema, _slices(rows, most), repeated)


def _slices(rows: pa.Table, most: int) -> Iterator[pa.Table]:
    return (rows.slice(start, most) for start in range(0, max(rows.num_rows, 1), most))


def _texts(of: pa.Schema) -> list[str]:
    return [field.name for field in of if pa.types.is_string(field.type)]


def _written(file_schema: pa.Schema, parts: Iterable[pa.Table], dictionaries: list[str]) -> bytes:
    """The bytes of a file with these rows. Those of a large file are a memory map, which reads like bytes."""
    # Not at its final place: a writer that fails halfway leaves a valid but short file.
    with unnamed_file() as sink:
        with pq.ParquetWriter(
            sink, file_schema, compression="zstd", use_dictionary=dictionaries, write_page_checksum=True
        ) as writer:
            for part in parts:
                writer.write_table(part)
        return cast(bytes, mapped(sink))


def create_file(root: Root, path: str, data: bytes) -> None:
    """Like `Root.create`, but raises NerbenchError with the reason if there is no room or the disk fails."""
    try:
        root.create(path, data)
    except FileExistsError:
        raise
    except OSError as error:
        raise NerbenchError(f"{root.uri(path)} cannot be written: {error.strerror or error}") from error


def read_rows(
    root: Root, path: str, wanted: set[str] | None = None, filters: Sequence[tuple[str, str, Any]] = ()
) -> pa.Table:
    """The rows of a file in the current schema, with the wanted columns that it has.

    `filters` only spare work: rows for which they do not hold may be there, too. Raises FileNotFoundError, and
    CorruptArtifactError if it is damaged.
    """
    with _opened(root, path) as stream:
        if filters and not is_earlier(path):
            return read_table(stream, wanted, filters)
        rows = read_table(stream, None if wanted is None else earlier_columns(path, wanted))
        return upgraded(path, rows, wanted)


def count_rows(root: Root, path: str) -> int:
    """The number of rows of a file, without reading them. Raises like `read_rows`."""
    with _opened(root, path) as stream, bounded(stream, ()) as file:
        return int(file.metadata.num_rows)


def read_parts(root: Root, path: str, wanted: set[str]) -> Iterator[pa.Table]:
    """The rows of `read_rows` without filters, a few thousand at a time. Raises likewise, perhaps after some parts."""
    with _opened(root, path) as stream:
        size, columns = stream.seek(0, os.SEEK_END), earlier_columns(path, wanted)
        with bounded(stream, columns) as file:
            names = [name for name in file.schema_arrow.names if name in columns]
            for batch in batches(file, _PART, names):
                yield upgraded(path, plain_part(pa.Table.from_batches([batch]), size), wanted)


def file_difference(root: Root, path: str, table: str, rows: pa.Table) -> str | None:
    """The first difference between a file and `rows` (from `as_table`); None if they are the same.

    Raises like `read_rows`.
    """
    with _opened(root, path) as stream, bounded(stream) as file:
        size = stream.seek(0, os.SEEK_END)
        if file.metadata.num_rows != rows.num_rows:
            return f"{file.metadata.num_rows} rows there, {rows.num_rows} now"
        start = 0
        for group in range(file.num_row_groups):
            before = plain_part(file.read_row_group(group), size)
            if found := difference(before, table, rows.slice(start, before.num_rows), start):
                return found
            start += before.num_rows
    return None


def difference(before: pa.Table, table: str, rows: pa.Table, first_row: int = 0) -> str | None:
    """The first deterministic column that differs, with both values; None if there is none."""
    now = _typed(table, rows)
    if before.num_rows != now.num_rows:
        return f"{before.num_rows} rows there, {now.num_rows} now"
    for name in now.column_names:
        if name in TABLES[table].nondeterministic or name not in before.column_names or before[name].equals(now[name]):
            continue
        pairs = zip(before[name].to_pylist(), now[name].to_pylist(), strict=True)
        for row, (old, new) in enumerate(pairs, first_row):
            if old != new:
                return f"{name} of row {row} is {old!r} there, {new!r} now"
    return None


def with_declared(rows: pa.Table, declared: pa.Schema, wanted: set[str] | None = None) -> pa.Table:
    """`rows`, with columns of nulls for declared (and wanted) columns that are missing."""
    there, few = set(rows.column_names), min(rows.num_rows, MAX_ROWS)
    for field in declared:
        if field.name not in there and (wanted is None or field.name in wanted):
            rows = rows.append_column(field.with_nullable(True), _repeated(pa.nulls(few, field.type), rows.num_rows))
    return rows


def _repeated(values: pa.Array, rows: int) -> pa.ChunkedArray:
    """A column that repeats one value, from an array of at most MAX_ROWS of them, whose memory all its chunks share."""
    starts = range(0, rows, MAX_ROWS)
    return pa.chunked_array([values[: rows - start] for start in starts], values.type)


def _typed(table: str, part: pa.Table) -> pa.Table:
    declared = schema(table)
    given = with_declared(part, declared).select(declared.names)
    for field in declared:
        if not field.nullable and (missing := given[field.name].null_count):
            raise ValueError(f"the column {field.name} of {table} has no value in {missing} rows")
    rows = given.cast(declared)
    for field in declared:
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(rows[field.name])).as_py():
            raise ValueError(f"the column {field.name} of {table} holds NaN")
    return rows


@contextmanager
def _opened(root: Root, path: str) -> Iterator[Stream]:
    try:
        with root.opened(path) as stream, corrupt_if_unreadable(root.uri(path)):
            yield stream
    except FileNotFoundError as error:
        raise FileNotFoundError(root.uri(path)) from error  # object stores do not name the file
    except (OSError, ValueError, InputError) as error:  # a name that is not text, or access that is refused
        raise CorruptArtifactError(f"{root.uri(path)} cannot be read: {error}") from error
