"""Rows of result tables with values in every column."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import table_key, write_table

KEY = table_key("run", "model", "corpus")


def metric(label: str = "PER", value: float | None = 0.5, **changes: Any) -> dict[str, Any]:
    texts = {
        column.name: column.name
        for column in TABLES["metrics"].columns
        if column.type == "string" and not column.nullable
    }
    started_at = datetime(2026, 1, 2, tzinfo=UTC)
    return {**texts, "started_at": started_at, "attempt": 1, "label": label, "value": value, "tp": 3, **changes}


def write(root_url: str, *rows: dict[str, Any], date: str = "2026-01-02", key: str = KEY) -> str:
    return write_table(root_url, "metrics", list(rows), date=date, key=key)


def predictions(words: int, **changes: Any) -> pa.Table:
    columns: dict[str, Any] = dict.fromkeys(
        [c.name for c in TABLES["predictions"].columns if c.type == "string" and not c.nullable], ["x"] * words
    )
    numbers = pa.array(range(words), pa.int64())
    return pa.table({**columns, "sentence": numbers, "word": numbers, "score": [0.5] * words, **changes})
