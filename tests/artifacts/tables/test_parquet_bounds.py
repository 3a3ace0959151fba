"""The bounds of Parquet files accept every table that nerbench writes."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import as_parquet, as_rows, read_rows
from nerbench.artifacts.tables.parquet_bounds import matching
from nerbench.artifacts.tables.schemas import schema


def column(field: pa.Field, rows: int) -> pa.Array:
    if pa.types.is_string(field.type):
        return pa.array([f"{field.name}{n}" for n in range(20)]).take(pa.array(np.arange(rows) % 20))
    if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
        return pa.array(np.arange(rows)).cast(field.type, safe=False)
    return pa.nulls(rows, field.type)


@pytest.mark.parametrize("rows", [0, 1, 300, 200_000])
def test_written_tables_are_read(rows: int, tmp_path: Path) -> None:
    declared = schema("metrics")
    nullable = pa.schema([field.with_nullable(True) for field in declared])
    written = pa.table([column(field, rows) for field in declared], schema=nullable)
    root = open_root(str(tmp_path))
    root.create("a.parquet", as_parquet(written))
    assert read_rows(root, "a.parquet").combine_chunks().equals(written)
    assert read_rows(root, "a.parquet", {"model"}).column_names == ["model"]


def test_lists_of_strings_are_read(tmp_path: Path) -> None:
    written = pa.table({"labels": [["PER", "LOC"] * 50, [], None] * 10_000, "samples_s": [[1.0], [], None] * 10_000})
    root = open_root(str(tmp_path))
    root.create("a.parquet", as_parquet(written))
    assert read_rows(root, "a.parquet").equals(written)


FILTERS: list[tuple[str, str, Any]] = [
    *(("text", operator, "b") for operator in ("=", "!=", "<", "<=", ">", ">=")),
    *(("text", operator, ["a", "c", "z"]) for operator in ("in", "not in")),
    *(("number", operator, 2) for operator in ("=", "!=", ">=")),
    ("number", "in", [1, 3]),
    ("date", "=", date(2026, 1, 2)),
]


@pytest.mark.parametrize("one", FILTERS, ids=str)
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_filters_hold_as_in_arrow(one: tuple[str, str, Any], is_dictionary: bool) -> None:
    texts = pa.chunked_array([["a", None, "b"], ["c", "b", "d"]])
    rows = pa.table(
        {
            "text": texts.dictionary_encode() if is_dictionary else texts,
            "number": [1, 2, None, 3, 2, 5],
            "date": [date(2026, 1, day) for day in (1, 2, 2, 3, 4, 5)],
        }
    )
    expected = rows.filter(pq.filters_to_expression([one, ("number", "<", 5)]))
    assert matching(rows, [one, ("number", "<", 5)]).to_pylist() == expected.to_pylist()


def test_filters_and_plain_rows_do_without_pandas(tmp_path: Path) -> None:
    rows = pa.table({"text": ["a", "b"], "at": pa.array([0, None], pa.timestamp("us", "UTC"))})
    assert as_rows(rows) == rows.to_pylist()
    open_root(str(tmp_path)).create("a.parquet", as_parquet(rows))
    code = (
        "import sys; from nerbench.artifacts.storage.open_root import open_root\n"
        "from nerbench.artifacts.tables.parquet import as_rows, read_rows\n"
        f"rows = [as_rows(read_rows(open_root({str(tmp_path)!r}), 'a.parquet', filters=[('text', '=', text)]))\n"
        "        for text in 'ac']\n"
        "print([len(one) for one in rows], 'pandas' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout == "[1, 0] False\n"
