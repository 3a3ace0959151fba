"""Readers of Parquet without nerbench open the folder of each table with their defaults."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.schemas import COMPACTABLE, TABLES
from nerbench.artifacts.tables.tables import write_table

DAYS = [date(2026, 1, 1), date(2026, 1, 2)]
READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    "pandas": lambda folder: pd.read_parquet(folder).to_dict("records"),
    "pyarrow": lambda folder: pq.read_table(folder).to_pylist(),
    "pyarrow dataset": lambda folder: ds.dataset(folder, partitioning="hive").to_table().to_pylist(),
    "polars": lambda folder: pl.read_parquet(folder).to_dicts(),
    "polars lazy": lambda folder: pl.scan_parquet(folder).collect().to_dicts(),
    "duckdb": lambda folder: duckdb.sql(f"FROM '{folder}/**/*.parquet'").to_arrow_table().to_pylist(),
}


def row_of(table: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, 3, tzinfo=UTC)
    example = {"string": "x", "int32": 1, "timestamp[us, tz=UTC]": moment, "date32": moment.date()}
    return {column.name: example[column.type] for column in TABLES[table].columns if not column.nullable}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("table", TABLES)
def test_a_folder_is_opened(table: str, reader: str, tmp_path: Path) -> None:
    for day in DAYS:
        for key in "ab":
            write_table(str(tmp_path), table, [row_of(table)], date=day.isoformat(), key=key)
    read = READERS[reader]
    for _ in range(3):  # small files alone, with a hidden packed file, and compacted
        rows = read(tmp_path / table)
        assert sorted(row["run_date"] for row in rows) == [DAYS[0], DAYS[0], DAYS[1], DAYS[1]]
        assert {name for name in rows[0] if name not in {"schema", "date"}} == {c.name for c in TABLES[table].columns}
        if table in COMPACTABLE:
            compact(str(tmp_path), [table], grace=timedelta(0), now=datetime(2026, 1, 3, tzinfo=UTC))
