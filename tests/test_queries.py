"""The queries of `docs/reference/tables.md` give the correct numbers in three readers without nerbench."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.tables import read_newest_first, write_table

PAGE = (Path(__file__).resolve().parents[1] / "docs/reference/tables.md").read_text()
QUERIES = re.findall(r"<!-- query -->\n```python\n(.*?)```", PAGE, re.DOTALL)
LIBRARIES = ["pandas", "polars", "duckdb"]
RESULTS = "var/results"
NIGHTS = ["2026-01-01", "2026-01-02"]
F1 = {"slice": "all", "level": "entity", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
OTHERS: list[dict[str, Any]] = [
    {"label": "PER", "average": ""},
    *({"metric": "recall"}, {"mode": "exact"}, {"slice": "unseen"}),
]


def rows(night: str, model: str) -> Iterator[dict[str, Any]]:
    names = ("run_id", "artifact_id", "model_sha256", "dataset", "split", "gold", "dtype", "aggregation", "status")
    about: dict[str, Any] = dict.fromkeys(names, "x")
    about |= {
        "aggregation": "model",
        "started_at": datetime.fromisoformat(f"{night}T03:00+00:00"),
        "attempt": 1,
        "model": model,
        **F1,
    }
    yield about | {"value": int(night[-1]) / 10 + (model == "b") / 100}
    for other in OTHERS:
        yield about | {"value": 0.99, "parameters": "k=1"} | other


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two runs of two models; the first file is from a version without some of the columns."""
    monkeypatch.chdir(tmp_path)
    for night in NIGHTS:
        for model in "ab":
            uri = write_table(RESULTS, "metrics", list(rows(night, model)), date=night, key=model)
            if (night, model) == (NIGHTS[0], "a"):
                old = pq.read_table(uri, partitioning=None).drop_columns(["std", "parameters", "source"])
                pq.write_table(old, uri)
    return RESULTS


def expected(results: str) -> list[tuple[str, str, float]]:
    filters = [(name, "=", value) for name, value in F1.items()]
    nights = read_newest_first(results, "metrics", columns=["model", "value"], filters=filters)
    return sorted((night.date, row["model"], row["value"]) for night in nights for row in night.rows.to_pylist())


def answered(query: str) -> tuple[list[tuple[str, str, float]], set[str]]:
    """The value of `f1` after a query, and the columns of `metrics`."""
    names: dict[str, Any] = {}
    exec(query, names)
    f1, metrics = names["f1"], names["metrics"]
    if hasattr(f1, "rows"):
        found = f1.rows()
    else:
        found = f1.fetchall() if hasattr(f1, "fetchall") else list(f1.itertuples(index=False))
    columns = metrics.collect_schema().names() if hasattr(metrics, "collect_schema") else metrics.columns
    return [(day.isoformat() if isinstance(day, date) else str(day), *rest) for day, *rest in found], set(columns)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings("error")
def test_a_query_of_the_readme(results: str, library: str) -> None:
    (query,) = [query for query in QUERIES if f"import {library}" in query]
    for _ in range(3):
        found, columns = answered(query)
        assert found == expected(results)
        assert {"std", "parameters", "source"} <= columns, "what the oldest file lacks is not lost"
        assert len(found) == 4
        compact(results, ["metrics"], grace=timedelta(0), now=datetime.now(UTC))
    assert len(list(Path(results).rglob("*.parquet"))) == 2
