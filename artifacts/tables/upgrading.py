"""Reads rows of schema 1 as rows of schema 2; every reader of nerbench uses it.

Schema 2 adds `run_date`, `aggregation` and the unit of gate decisions, renames columns and the verdict `inconclusive`,
and always writes a missing average as an empty text.
"""

import re
from datetime import date as calendar_date

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.tables.columns import VERSION
from nerbench.artifacts.tables.schemas import TABLES

_FILE = re.compile(
    r"(?:_compacted/)?(?P<table>[^/]+)/schema=(?P<schema>\d+)/(?:_compacted/)?date=(?P<date>\d{4}-\d{2}-\d{2})/"
)
EARLIER = range(1, VERSION)
"""The schemas that are read as the current one."""
_RENAMED = {"precision": "dtype", "undisturbed_s": "min_latency_s", "foreign_cores": "background_cores"}
_RENAMED_IN_GATE = {"unit": "resampling_unit"}
"""In schema 2, `unit` is the unit of the numbers."""
_DERIVED_FROM = {"aggregation": {"n_models"}, "unit": {"kind", "metric"}}


def current_name(table: str, column: str) -> str:
    """The current name of a column of an earlier schema."""
    renamed = (_RENAMED_IN_GATE if table == "gate" else {}).get(column) or _RENAMED.get(column, column)
    return renamed if any(one.name == renamed for one in TABLES[table].columns) else column


def earlier_names(table: str) -> dict[str, str | None]:
    """By column of the current schema, the name in schema 1; None if it is new in schema 2."""
    renamed = {current_name(table, name): name for name in (*_RENAMED, *_RENAMED_IN_GATE)}
    new = {"run_date", *_DERIVED_FROM} - ({"unit"} if table == "custom" else set())
    names = (column.name for column in TABLES[table].columns)
    return {name: renamed.get(name, None if name in new else name) for name in names}


def earlier_columns(path: str, wanted: set[str]) -> set[str]:
    """The columns to read from a file, by its path below the results, so that `upgraded` returns the wanted ones."""
    if (match := _FILE.match(path)) is None or not _is_earlier(match):
        return wanted
    names = {*_RENAMED, *_RENAMED_IN_GATE}
    renamed = {name for name in names if current_name(match["table"], name) in wanted}
    return wanted | renamed | {name for column in wanted for name in _DERIVED_FROM.get(column, ())}


def upgraded(path: str, rows: pa.Table, wanted: set[str] | None = None) -> pa.Table:
    """The rows of a file in the current schema; rows of the current or a later version are unchanged."""
    if (match := _FILE.match(path)) is None or not _is_earlier(match):
        return rows
    table = match["table"]
    rows = rows.rename_columns([current_name(table, name) for name in rows.column_names])
    there = set(rows.column_names)
    date = pa.scalar(calendar_date.fromisoformat(match["date"]), pa.date32())
    rows = _set(rows, "run_date", pa.repeat(date, rows.num_rows))
    if "average" in there and table == "metrics":
        rows = _set(rows, "average", pc.fill_null(rows["average"], ""))
    if table == "metrics":
        n_models = rows["n_models"] if "n_models" in there else pa.nulls(rows.num_rows, pa.int32())
        rows = _set(rows, "aggregation", pc.if_else(pc.is_null(n_models), "model", "seed_mean"))
    if table == "gate" and "verdict" in there:
        is_old = pc.equal(rows["verdict"], "inconclusive")
        rows = _set(rows, "verdict", pc.if_else(is_old, "undecided", rows["verdict"]))
    if table == "gate" and {"kind", "metric"} <= there:
        rows = _with_units(rows)
    return rows if wanted is None else rows.select([name for name in rows.column_names if name in wanted])


def written_as(schema: int) -> int:
    """The schema in which compaction writes rows of this schema: the current one, if they can be upgraded to it."""
    return VERSION if schema in EARLIER else schema


def is_earlier(path: str) -> bool:
    """Whether the columns of a file may have other names and meanings than now."""
    match = _FILE.match(path)
    return match is not None and _is_earlier(match)


def is_known(path: str) -> bool:
    """Whether a file has the current schema or one that is upgraded to it."""
    match = _FILE.match(path)
    return match is not None and written_as(int(match["schema"])) == VERSION


def _with_units(rows: pa.Table) -> pa.Table:
    """Gate decisions with the unit of their numbers, and with the current name of the compared latency."""
    is_speed, metric = pc.equal(rows["kind"], "speed"), rows["metric"]
    share = pc.if_else(pc.is_valid(metric), "share", pa.scalar(None, pa.string()))
    rows = _set(rows, "unit", pc.if_else(is_speed, "seconds", share))
    return _set(rows, "metric", pc.if_else(is_speed, "min_latency_s", metric))


def _is_earlier(match: re.Match[str]) -> bool:
    return match["table"] in TABLES and int(match["schema"]) in EARLIER


def _set(rows: pa.Table, name: str, values: pa.Array | pa.ChunkedArray) -> pa.Table:
    if name not in rows.column_names:
        return rows.append_column(name, values)
    return rows.set_column(rows.column_names.index(name), name, values)
