"""Result tables as plain Parquet: one immutable file for each key, created exclusively.

<results>/<table>/schema=<n>/date=<YYYY-MM-DD>/<key>.parquet
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date as calendar_date
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import ConflictError, CorruptArtifactError, InputError
from artifacts.filesystem import Root
from artifacts.schemas import TABLES, schema

Filter = tuple[str, str, Any]
"""Column, operator (`=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`), value."""

_DATE = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/[^/]+\.parquet$")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_READERS = 8


class DatedRows(NamedTuple):
    """Rows of a table with the same logical date."""

    date: str
    """YYYY-MM-DD."""
    rows: pa.Table


def table_key(*parts: str) -> str:
    """The name of a file that is the same for the same parts: 32 hex digits."""
    return sha256_hex(canonical_json(parts))[:32]


def write_table(results_url: str, table: str, data: pa.Table | list[dict[str, Any]], *, date: str, key: str) -> str:
    """Write one file of a table (`date`: the run's logical date) and return its uri, also where it is there already.

    Raises ConflictError where it is there and says something else in a column that is not volatile. Raises ValueError
    for what only a bug can bring: unknown columns, nulls in a key column, NaN (null is what says undefined).
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} cannot name a file")
    root = Root.open(results_url)
    rows = _typed(table, data)
    path = f"{_folder(table)}/date={calendar_date.fromisoformat(date)}/{key}.parquet"
    try:
        root.create(path, _serialised(rows))
    except FileExistsError:
        if difference := _difference(_read(root, path), rows, TABLES[table].volatile):
            raise ConflictError(f"{root.uri(path)} exists and says something else: {difference}") from None
    return root.uri(path)


def find_table_file(results_url: str, table: str, key: str) -> str | None:
    """The uri of the file with this key, whatever its date; None where there is none."""
    root = Root.open(results_url)
    found = (path for path in root.files(_folder(table), recursive=True) if path.endswith(f"/{key}.parquet"))
    return next((root.uri(path) for path in found), None)


def read_results(
    results_url: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    since: str | None = None,
    filters: Sequence[Filter] | None = None,
) -> pa.Table:
    """All rows of a table, of every schema version, with the union of the files' columns (nulls where one lacks it).

    `since`: the first date wanted; `filters` must all hold. A table that was never written has no rows. Raises
    CorruptArtifactError naming a damaged file, InputError for an unknown table or column or a date that is none.
    """
    first = _checked_date(since) if since else ""
    root, dated = _dated(results_url, table)
    paths = [path for date, found in dated.items() if date >= first for path in found]
    return _read_all(root, table, sorted(paths), columns, filters)


def read_newest_first(
    results_url: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    filters: Sequence[Filter] | None = None,
    date: str | None = None,
) -> Iterator[DatedRows]:
    """The rows of each logical date that has some, the newest date first, read only when they are asked for.

    `date`: this one alone. Raises like `read_results`.
    """
    only = _checked_date(date) if date else None
    root, dated = _dated(results_url, table)
    for day in sorted(dated, reverse=True):
        if only in (None, day):
            rows = _read_all(root, table, dated[day], columns, filters)
            if rows.num_rows:
                yield DatedRows(day, rows)


def _dated(results_url: str, table: str) -> tuple[Root, dict[str, list[str]]]:
    """The paths of a table's files by their logical date."""
    _declared(table)
    root = Root.open(results_url)
    dated: defaultdict[str, list[str]] = defaultdict(list)
    for path in root.files(table, recursive=True):
        if match := _DATE.search(path):
            dated[match[1]].append(path)
    return root, dated


def _read_all(
    root: Root, table: str, paths: list[str], columns: Sequence[str] | None, filters: Sequence[Filter] | None
) -> pa.Table:
    declared = _declared(table)
    wanted = None if columns is None else {*columns, *(column for column, _, _ in filters or ())}

    def read(path: str) -> pa.Table:
        rows = _with_declared(_read(root, path, wanted), declared, wanted)
        return rows.filter(pq.filters_to_expression(list(filters))) if filters else rows

    with ThreadPoolExecutor(_READERS) as pool:
        parts = list(pool.map(read, paths))
    empty = _with_declared(pa.table({}), declared, wanted)
    rows = pa.concat_tables([empty, *parts], promote_options="permissive")
    if columns is None:
        return rows
    if unknown := [column for column in columns if column not in rows.column_names]:
        raise InputError(
            f"column {unknown[0]!r}", f"is not in the table {table}", f"it has {', '.join(declared.names)}"
        )
    return rows.select(list(columns))


def _folder(table: str) -> str:
    return f"{table}/schema={TABLES[table].version}"


def _declared(table: str) -> pa.Schema:
    if table not in TABLES:
        raise InputError(f"table {table!r}", "is not one of the result tables", f"choose one of {', '.join(TABLES)}")
    return schema(table)


def _checked_date(text: str) -> str:
    try:
        return calendar_date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"date {text!r}", "is no date", "write it as YYYY-MM-DD") from None


def _typed(table: str, data: pa.Table | list[dict[str, Any]]) -> pa.Table:
    declared = schema(table)
    given = data.column_names if isinstance(data, pa.Table) else sorted({name for row in data for name in row})
    if unknown := [name for name in given if name not in declared.names]:
        raise ValueError(f"the table {table} has no column {unknown[0]}")
    if isinstance(data, pa.Table):
        rows = _with_declared(data, declared, None).select(declared.names).cast(declared)
    else:
        rows = pa.Table.from_pylist(data, schema=declared)
    for field in declared:
        column = rows[field.name]
        if not field.nullable and column.null_count:
            raise ValueError(f"the column {field.name} of {table} has no value in {column.null_count} rows")
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(column)).as_py():
            raise ValueError(f"the column {field.name} of {table} holds NaN")
    return rows


def _with_declared(rows: pa.Table, declared: pa.Schema, wanted: set[str] | None) -> pa.Table:
    """`rows`, with columns of nulls for what is declared (and wanted) but not there."""
    for field in declared:
        if field.name not in rows.column_names and (wanted is None or field.name in wanted):
            rows = rows.append_column(field.with_nullable(True), pa.nulls(rows.num_rows, field.type))
    return rows


def _serialised(rows: pa.Table) -> bytes:
    # In memory first: a writer that fails halfway leaves a file that is valid and short.
    sink = pa.BufferOutputStream()
    strings = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    pq.write_table(rows, sink, compression="zstd", use_dictionary=strings, write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _read(root: Root, path: str, wanted: set[str] | None = None) -> pa.Table:
    try:
        with pq.ParquetFile(pa.BufferReader(root.read(path)), page_checksum_verification=True) as file:
            names = None if wanted is None else [name for name in file.schema_arrow.names if name in wanted]
            return file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise CorruptArtifactError(f"{root.uri(path)} cannot be read: {error}") from error


def _difference(before: pa.Table, now: pa.Table, volatile: frozenset[str]) -> str | None:
    """The first column that differs, with both values; None where the tables say the same."""
    if before.num_rows != now.num_rows:
        return f"{before.num_rows} rows there, {now.num_rows} now"
    for name in now.column_names:
        if name in volatile or name not in before.column_names or before[name].equals(now[name]):
            continue
        pairs = zip(before[name].to_pylist(), now[name].to_pylist(), strict=True)
        for row, (old, new) in enumerate(pairs):
            if old != new:
                return f"{name} of row {row} is {old!r} there, {new!r} now"
    return None
