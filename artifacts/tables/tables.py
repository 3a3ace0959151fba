"""Result tables as plain Parquet: one immutable file for each key, created exclusively.

  <results>/<table>/schema=<n>/date=<YYYY-MM-DD>/<key>.parquet

Files are written in the current schema. `upgrading` reads files of an earlier one as if they were current. `compaction`
may later pack the files of a day into one; the functions here return the same rows afterwards.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date as calendar_date
from functools import partial, reduce
from itertools import chain
from operator import and_
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError, report
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import (
    as_table,
    create_file,
    difference,
    file_difference,
    read_rows,
    serialised,
    with_declared,
)
from nerbench.artifacts.tables.schemas import CLEAN_BY_DEFAULT, TABLES, schema
from nerbench.artifacts.tables.table_files import (
    KEY,
    Day,
    Listing,
    Live,
    Packed,
    find_packed,
    in_parallel,
    is_key,
    list_table,
    live_files,
    packed_in,
    retry_if_compacted,
)
from nerbench.artifacts.tables.upgrading import is_known

Filter = tuple[str, str, Any]
"""Column, operator (`=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`), value."""
T = TypeVar("T")


class _Query(NamedTuple):
    table: str
    columns: Sequence[str] | None
    filters: Sequence[Filter] | None
    perturbed: bool

    @property
    def is_clean(self) -> bool:
        """Whether rows about perturbed words are left out."""
        has_column = "perturbation" in schema(self.table).names
        return has_column and self.table in CLEAN_BY_DEFAULT and not self.perturbed

    @property
    def wanted(self) -> set[str] | None:
        """The columns to read; None for all."""
        if self.columns is None:
            return None
        needed = {"perturbation"} if self.is_clean else set()
        return {*self.columns, *(column for column, _, _ in self.filters or ()), *needed}

    @property
    def condition(self) -> pc.Expression | None:
        """What a row must fulfil; None if every row is read."""
        parts = [pq.filters_to_expression(list(self.filters))] if self.filters else []
        parts += [pc.field("perturbation").is_null()] if self.is_clean else []
        return reduce(and_, parts) if parts else None


class DatedRows(NamedTuple):
    """Rows of a table with the same logical date."""

    date: str
    """YYYY-MM-DD."""
    rows: pa.Table


def table_key(*parts: str) -> str:
    """A file name that is the same for the same parts: 32 hex digits."""
    return sha256_hex(canonical_json(parts))[:32]


def write_table(results_url: str, table: str, data: pa.Table | list[dict[str, Any]], *, date: str, key: str) -> str:
    """Write one file of a table (`date`: the run's logical date) and return its URI, also if the file exists already.

    If it was compacted, the URI is that of the larger file. Raises ConflictError if it exists and differs in a
    deterministic column, and NerbenchError if there is no room. Raises ValueError for bugs: unknown columns, nulls in a
    key column, and NaN (undefined numbers are null).
    """
    if not (KEY.fullmatch(key) and is_key(key)):
        raise ValueError(f"{key!r} cannot name a file")
    root, rows, day = open_root(results_url), as_table(table, data, date), _day(table, date)

    def write(packed: Packed | None, last: bool) -> tuple[str, str | None]:
        if packed is not None:
            return packed.path, difference(packed.of(read_rows(root, packed.path)), table, rows)
        path = f"{day.folder}/{key}.parquet"
        try:
            create_file(root, path, serialised(table, rows))
        except FileExistsError:
            return path, file_difference(root, path, table, rows)
        return path, None

    path, changed = retry_if_compacted(partial(find_packed, root, day, key), write)
    if changed:
        raise ConflictError(f"{root.uri(path)} exists with other content: {changed}")
    return root.uri(path)


def find_table_file(results_url: str, table: str, key: str, date: str | None = None) -> str | None:
    """The URI of the file with this key, or of the larger file into which it was compacted; None if there is none.

    With its logical `date`, the file is found without listing the table.
    """
    root = open_root(results_url)
    if date is not None:
        day = _day(table, date)
        packed = find_packed(root, day, key)
        path = packed.path if packed else f"{day.folder}/{key}.parquet"
        return root.uri(path) if root.exists(path) else None

    def find(listing: Listing, last: bool) -> str | None:
        of_version = [(day, found) for day, found in listing.items() if day.schema == TABLES[table].version]
        small = [found.written[key] for _, found in of_version if key in found.written]
        packed = (packed_in(root, day, found, key) for day, found in of_version if not small)
        return next(chain(small, (one.path for one in packed if one)), None)

    found = retry_if_compacted(partial(list_table, root, table), find)
    return None if found is None else root.uri(found)


def read_results(  # noqa: PLR0913 - a query
    results_url: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    since: str | None = None,
    filters: Sequence[Filter] | None = None,
    perturbed: bool = False,
) -> pa.Table:
    """All rows of a table, of every schema version, with the union of the files' columns (null if a file lacks one).

    `since`: the first date to read. All `filters` must hold. A table that was never written has no rows. A damaged file
    is left out if reports are collected (`artifacts/errors.py`); otherwise, raises CorruptArtifactError. Raises
    InputError for an unknown table or column or an invalid date. `perturbed`: include rows of `metrics` and
    `predictions` about perturbed words (`robustness`); without it, all rows are about the clean split.
    """
    first = _checked_date(since) if since else ""
    _declared(table)
    root, query = open_root(results_url), _Query(table, columns, filters, perturbed)

    def read(listing: Listing, last: bool) -> pa.Table:
        wanted = {day: found for day, found in listing.items() if day.date >= first}
        return _read_all(root, query, live_files(root, wanted, last=last), last=last)

    return retry_if_compacted(partial(list_table, root, table), read)


def read_newest_first(  # noqa: PLR0913 - a query
    results_url: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    filters: Sequence[Filter] | None = None,
    date: str | None = None,
    perturbed: bool = False,
) -> Iterator[DatedRows]:
    """The rows of each logical date that has some, newest date first; each date is read on demand.

    `date`: only this date. `perturbed` and errors: as in `read_results`.
    """
    only = _checked_date(date) if date else None
    _declared(table)
    root, query = open_root(results_url), _Query(table, columns, filters, perturbed)
    look = partial(list_table, root, table)
    listing = look()

    def read(listing: Listing, last: bool) -> pa.Table:
        of_date = {day: found for day, found in listing.items() if day.date == wanted}
        return _read_all(root, query, live_files(root, of_date, last=last), last=last)

    for wanted in sorted({day.date for day in listing if only in (None, day.date)}, reverse=True):
        # Listed once for all dates, and again only if files of a date have disappeared since.
        looks = chain([listing], iter(look, None))
        rows = retry_if_compacted(looks.__next__, read)
        if rows.num_rows:
            yield DatedRows(wanted, rows)


def _read_all(root: Root, query: _Query, days: Sequence[Live], *, last: bool) -> pa.Table:
    """The rows of all days. Damaged files are reported after everything else is read."""
    columns, declared, wanted = query.columns, _declared(query.table), query.wanted
    read = partial(_read, root, query.table, wanted=wanted, last=last)
    found = dict(_zipped(read, [path for day in days for path in (day.packed, *day.written) if path]))
    damaged = [day for day in days if isinstance(found.get(day.packed or ""), CorruptArtifactError)]
    found |= dict(_zipped(read, [path for day in damaged for path in day.replaced]))
    parts, problems = _fitting(with_declared(pa.table({}), declared, wanted), found, query.condition)
    for day in days:
        for where, reason in day.problems.items():
            report(where, reason)
    for path, problem in problems.items():
        report(root.uri(path), problem)
    rows = pa.concat_tables(parts, promote_options="permissive")
    if columns is None:
        return rows
    if unknown := [column for column in columns if column not in rows.column_names]:
        raise InputError(
            f"column {unknown[0]!r}", f"is not in the table {query.table}", f"it has {', '.join(declared.names)}"
        )
    return rows.select(list(columns))


def _fitting(
    empty: pa.Table, found: Mapping[str, pa.Table | CorruptArtifactError], condition: pc.Expression | None
) -> tuple[list[pa.Table], dict[str, Exception]]:
    """The filtered tables that can be joined with `empty` and each other; the problems of the others, by path."""
    parts, known = [empty], empty.schema
    problems: dict[str, Exception] = {}
    for path, rows in found.items():
        if isinstance(rows, CorruptArtifactError):
            problems[path] = rows
            continue
        try:
            if not known.equals(rows.schema):
                known = pa.unify_schemas([known, rows.schema], promote_options="permissive")
            parts.append(rows if condition is None else rows.filter(condition))
        except pa.ArrowException as error:
            problems[path] = error
    return parts, problems


def _zipped(read: Callable[[str], T], paths: Sequence[str]) -> Iterable[tuple[str, T]]:
    return zip(paths, in_parallel(read, paths), strict=True)


def _read(root: Root, table: str, path: str, *, wanted: set[str] | None, last: bool) -> pa.Table | CorruptArtifactError:
    """The rows of a file, or its problem. An unknown version of the table may have other key columns."""
    declared = schema(table)
    try:
        rows = with_declared(read_rows(root, path, wanted), declared, wanted)
    except FileNotFoundError as error:
        if not last:  # it may have been compacted in the meantime
            raise
        return CorruptArtifactError(f"a file of the result tables is gone: {error}")
    except CorruptArtifactError as error:
        return error
    keys = [field.name for field in declared if not field.nullable] if is_known(path) else []
    if empty := [name for name in keys if name in rows.column_names and rows[name].null_count]:
        return CorruptArtifactError(f"{root.uri(path)} has no {empty[0]} in some rows")
    return rows


def _day(table: str, date: str) -> Day:
    return Day(table, TABLES[table].version, calendar_date.fromisoformat(date).isoformat())


def _declared(table: str) -> pa.Schema:
    if table not in TABLES:
        raise InputError(f"table {table!r}", "is not one of the result tables", f"choose one of {', '.join(TABLES)}")
    return schema(table)


def _checked_date(text: str) -> str:
    try:
        return calendar_date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"date {text!r}", "is not a date", "write it as YYYY-MM-DD") from None
