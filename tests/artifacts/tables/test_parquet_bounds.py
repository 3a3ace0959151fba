"""The bounds of Parquet files accept every table that nerbench writes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import as_parquet, read_rows
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
