"""Result tables as plain Parquet: one immutable file for each key, created exclusively.

  <results>/<table>/schema=<n>/date=<YYYY-MM-DD>/<key>.parquet

Files are written in the current schema. `upgrading` reads files of an earlier one as if they were current. `compaction`
may later pack the files of a day into one; the functions here return the same rows afterwards.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as calendar_date
from functools import partial
from itertools import chain, repeat
from threading import Lock
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError, report
from nerbench.artifacts.memoized_reads import once
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.columns import VERSION
from nerbench.artifacts.tables.parquet import (
    as_table,
    create_file,
    difference,
    file_difference,
    read_rows,
    serialised,
    with_declared,
)
from nerbench.artifacts.tables.parquet_bounds import OPERATORS, Condition, matching, require_comparable
from nerbench.artifacts.tables.schemas import CLEAN_BY_DEFAULT, COMPACTABLE, TABLES, schema
from nerbench.artifacts.tables.table_files import (
    KEY,
    Day,
    Listing,
    Live,
    Packed,
    checked_date,
    find_days,
    find_packed_day,
    is_key,
    list_days,
    list_table,
    live_files,
    packed_day,
    retry_if_compacted,
)
from nerbench.artifacts.tables.upgrading import is_known
from nerbench.artifacts.transfers import in_parallel

MANY_FILES = 50
"""Small files, each read in one or two milliseconds, up to which the dates of a search are read as a whole."""
Filter = Condition
_DATED = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")


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

    def matching(self, rows: pa.Table) -> pa.Table:
        """The rows that are read."""
        if self.is_clean and rows["perturbation"].null_count < len(rows):
            rows = rows.filter(pc.is_null(rows["perturbation"]))
        return matching(rows, self.filters or ())


@dataclass
class Budget:
    """The number of files that a search may read."""

    files: int
    read: int = 0
    is_spent: bool = False
    """Whether the search ended because of it."""

    def affords(self, days: Sequence[Live]) -> bool:
        """Whether the files of a date can be read; those of the first date always can."""
        n_files = sum(len(day.written) + (day.packed is not None) for day in days)
        self.is_spent = bool(self.read) and self.read + n_files > self.files
        self.read += 0 if self.is_spent else n_files
        return not self.is_spent


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

    remembered = chain([True], repeat(False))  # looked up once in a run, and again if a file is gone
    path, changed = retry_if_compacted(lambda: _find_packed(root, day, key, remembered=next(remembered)), write)
    if changed:
        raise ConflictError(f"{root.uri(path)} exists with other content: {changed}")
    return root.uri(path)


def read_table_file(results_url: str, table: str, key: str, *, date: str) -> pa.Table:
    """The rows of the file with this key and logical date, also if it was compacted. Raises FileNotFoundError."""
    root, day = open_root(results_url), _day(table, date)

    def read(packed: Packed | None, last: bool) -> pa.Table:
        return packed.of(read_rows(root, packed.path)) if packed else read_rows(root, f"{day.folder}/{key}.parquet")

    return retry_if_compacted(lambda: _find_packed(root, day, key, remembered=False), read)


def find_table_file(results_url: str, table: str, key: str, date: str | None = None) -> str | None:
    """The URI of the file with this key, or of the larger file into which it was compacted; None if there is none.

    With its logical `date`, the file is found without listing the table.
    """
    root = open_root(results_url)
    if date is not None:
        day = _day(table, date)
        packed = _find_packed(root, day, key, remembered=False)
        path = packed.path if packed else f"{day.folder}/{key}.parquet"
        return root.uri(path) if root.exists(path) else None

    def find(listing: Listing, last: bool) -> str | None:
        of_version = [(day, found) for day, found in listing.items() if day.schema == TABLES[table].version]
        small = [found.written[key] for _, found in of_version if key in found.written]
        days = (packed_day(root, day, found) for day, found in of_version if not small)
        packed = (one.find(key) for one in days if one)
        return next(chain(small, (one.path for one in packed if one)), None)

    found = retry_if_compacted(partial(list_table, root, table), find)
    return None if found is None else root.uri(found)


def _find_packed(root: Root, day: Day, key: str, *, remembered: bool) -> Packed | None:
    """The packed rows of a small file; with `remembered`, as the day was when the run asked first."""
    if day.table not in COMPACTABLE:
        return None
    look = partial(find_packed_day, root, day)
    found = once("packed day", (root.url, day), look) if remembered else look()
    return found and found.find(key)


def find_once(results_url: str, table: str, key: str, *, date: str | None) -> str | None:
    """The URI of the file with this key of a table that has one file for all runs; None if there is none.

    The file is first looked for at `date`, where it was found before, and then in the whole table. Within `read_once`,
    a date and the table are listed once.
    """
    root = open_root(results_url)
    if date is not None and (found := _listed_once(root, table, date).get(key)):
        return root.uri(found)
    path = _listed_once(root, table, None).get(key)
    if path is None:  # another file of the same run may have been written since the listing
        path = f"{_day(table, date).folder}/{key}.parquet" if date is not None else None
    return root.uri(path) if path is not None and root.exists(path) else None


def _listed_once(root: Root, table: str, date: str | None) -> dict[str, str]:
    """The paths of a table by key, of one date or of all."""

    def listed() -> dict[str, str]:
        days = list_days(root, find_days(root, table, date)).items()
        return {key: path for day, found in days if day.schema == VERSION for key, path in found.written.items()}

    with _listing:  # predictions are analysed in parallel: the first one lists for all
        return once("listing", (root.url, table, date), listed)


_listing = Lock()


def date_of(uri: str) -> str:
    """The logical date of a file of a table."""
    match = _DATED.search(uri)
    if match is None:
        raise ValueError(f"{uri} is not a file of a table")
    return match[1]


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
    InputError for an unknown table, column or operator and for an invalid date. `perturbed`: include rows of `metrics`
    and `predictions` about perturbed words (`robustness`); without it, all rows are about the clean split.

    >>> import nerbench
    >>> config = nerbench.load_config()
    >>> runs = nerbench.read_results(config.results, "runs", columns=["run_id", "outcome"])
    >>> set(runs["outcome"].to_pylist())
    {'ok'}
    """
    first = checked_date(since) if since else ""
    root, query = open_root(results_url), _checked(_Query(table, columns, filters, perturbed))

    def look() -> Listing:
        return list_days(root, {day: where for day, where in find_days(root, table).items() if day.date >= first})

    def read(listing: Listing, last: bool) -> pa.Table:
        return _read_all(root, query, live_files(root, listing, last=last), last=last)

    return retry_if_compacted(look, read)


def read_newest_first(  # noqa: PLR0913 - one parameter a bound of the search
    results_url: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    filters: Sequence[Filter] | None = None,
    date: str | None = None,
    until: str | None = None,
    dates: int | None = None,
    keys: Callable[[str], Collection[str]] | None = None,
    budget: "Budget | None" = None,
    perturbed: bool = False,
) -> Iterator[DatedRows]:
    """The rows of each logical date that has some, newest date first; each date is listed and read on demand.

    Args:
        date: Only this date.
        until: The last date.
        dates: Maximum number of dates to search.
        keys: By date, the names of the small files that can have wanted rows. If the dates have many small files, no
            others are read.
        budget: The number of files to read. A date that needs more ends the search, unless it is the first one.

    `perturbed` and errors: as in `read_results`.
    """
    only = checked_date(date) if date else None
    root, query, n_small = open_root(results_url), _checked(_Query(table, columns, filters, perturbed)), 0

    def read(listing: Listing, last: bool) -> pa.Table | None:
        nonlocal n_small
        live = live_files(root, listing, last=last)
        n_small += sum(len(one.written) for one in live)
        if keys is not None and n_small > MANY_FILES:
            live = [one.of_keys(keys(wanted)) for one in live]
        if budget is not None and not budget.affords(live):
            return None
        return _read_all(root, query, live, last=last)

    days = {day: where for day, where in find_days(root, table, only).items() if until is None or day.date <= until}
    for wanted in sorted({day.date for day in days}, reverse=True)[:dates]:
        of_date = {day: where for day, where in days.items() if day.date == wanted}
        rows = retry_if_compacted(partial(list_days, root, of_date), read)
        if rows is None:
            return
        if rows.num_rows:
            yield DatedRows(wanted, rows)


def _read_all(root: Root, query: _Query, days: Sequence[Live], *, last: bool) -> pa.Table:
    """The rows of all days. Damaged files are reported after everything else is read."""
    columns, declared, wanted = query.columns, _declared(query.table), query.wanted

    def read(paths: list[str]) -> dict[str, pa.Table | CorruptArtifactError]:
        return dict(zip(paths, in_parallel(partial(_read, root, query, last=last), paths, root.at_once), strict=True))

    found = read([path for day in days for path in (day.packed, *day.written) if path])
    damaged = [day for day in days if isinstance(found.get(day.packed or ""), CorruptArtifactError)]
    found |= read([path for day in damaged for path in day.replaced])
    parts, problems = _fitting(with_declared(pa.table({}), declared, wanted), found, query.matching)
    for day in days:
        for where, reason in day.problems.items():
            report(where, reason)
    for path, problem in problems.items():
        report(root.uri(path), problem)
    rows = pa.concat_tables(parts, promote_options="permissive")
    if columns is None:
        return rows
    _require_columns(query.table, columns, rows.column_names)
    return rows.select(list(columns))


def _fitting(
    empty: pa.Table, found: Mapping[str, pa.Table | CorruptArtifactError], matched: Callable[[pa.Table], pa.Table]
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
            parts.append(matched(rows))
        except pa.ArrowException as error:
            problems[path] = error
    return parts, problems


def _read(root: Root, query: _Query, path: str, *, last: bool) -> pa.Table | CorruptArtifactError:
    """The rows of a file, or its problem. An unknown version of the table may have other key columns."""
    declared, wanted = schema(query.table), query.wanted
    try:
        rows = with_declared(read_rows(root, path, wanted, query.filters or ()), declared, wanted)
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


def _checked(query: _Query) -> _Query:
    """The query, if its table and filters are valid."""
    filters = query.filters or ()
    _require_columns(query.table, [column for column, _, _ in filters], _declared(query.table).names)
    if unknown := [operator for _, operator, _ in filters if operator not in OPERATORS]:
        raise InputError(f"operator {unknown[0]!r}", "is unknown", f"choose one of {', '.join(OPERATORS)}")
    for one in filters:
        require_comparable(_declared(query.table).field(one[0]), one)
    return query


def _require_columns(table: str, columns: Iterable[str], known: Collection[str]) -> None:
    if unknown := [column for column in columns if column not in known]:
        names = ", ".join(_declared(table).names)
        raise InputError(f"column {unknown[0]!r}", f"is not in the table {table}", f"it has {names}")
