"""The views of `nerbench results sql` in DuckDB give the same numbers as nerbench's readers."""

import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scored_runs import end_run

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.schemas import TABLES, schema
from nerbench.artifacts.tables.tables import read_newest_first, read_results, write_table
from nerbench.flows.cli import status_of
from nerbench.tasks.results.history import Query, history
from nerbench.tasks.results.query import newest_run
from nerbench.tasks.results.sql import views

OLD = Path(__file__).resolve().parents[2] / "data/c32070f.tar.xz"


@pytest.fixture
def old(tmp_path: Path) -> str:
    """Results in schema 1."""
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return str(tmp_path / "results")


@pytest.fixture
def both(old: str) -> str:
    """The same results with later runs in schema 2, one of which is incomplete."""
    rows = read_results(old, "metrics", filters=[("run_date", "=", date(2026, 11, 29))]).to_pylist()
    for day, run_id in ((30, "complete"), (31, "incomplete")):
        moment = rows[0]["started_at"].replace(month=12, day=day)
        later = [row | {"run_id": run_id, "started_at": moment, "value": (row["value"] or 0) / 2} for row in rows]
        write_table(old, "metrics", later, date=f"2026-12-{day}", key=run_id)
        if run_id == "complete":
            end_run(old, f"2026-12-{day}", run_id=run_id, started_at=moment)
    return old


def ask(results: str, query: str) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(views(results))
        rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
        return rows


@pytest.mark.parametrize("table", [table for table in TABLES if table not in {"custom", "robustness", "suspects"}])
def test_a_view_has_the_rows_of_a_table(both: str, table: str) -> None:
    found, expected = ask(both, f"FROM {table}"), read_results(both, table).to_pylist()
    assert set(found[0]) == set(schema(table).names)
    assert sorted(str(sorted(row.items())) for row in found) == sorted(str(sorted(row.items())) for row in expected)


def test_trend_is_the_history_of_every_model(both: str) -> None:
    for model in ("tiny-seed0", "tiny-seed1", "tiny"):
        rows = ask(both, f"FROM trend WHERE model = '{model}'")
        for series in history(both, model, Query()):
            found = {(str(r["run_date"]), r["run_id"], r["f1"]) for r in rows if r["gold"] == series.gold}
            points = {(p.date, p.run_id, p.value) for p in series.points if p.run_id != "incomplete"}
            assert found == points
            assert len(found) == 4
    whole = ask(both, "SELECT count(*) AS n FROM trend WHERE aggregation = 'model'")
    assert whole == [{"n": 4 * 2 * 2}]  # runs, models and annotations, each once


def test_headline_is_of_the_newest_complete_run(both: str) -> None:
    rows = ask(both, "FROM headline")
    newest = newest_run(both, read_newest_first(both, "metrics"))
    assert newest is not None
    strict = {"level": "entity", "mode": "strict", "slice": "all", "label": "overall", "average": "micro"}
    numbers = {
        (row["model"], row["gold"], row["metric"]): row
        for row in newest.rows.to_pylist()
        if strict.items() <= row.items()
    }
    assert {row["run_id"] for row in rows} == {newest.run_id} == {"complete"}
    assert len(rows) == 6
    for row in rows:
        f1 = numbers[row["model"], row["gold"], "f1"]
        assert (row["f1"], row["f1_ci_low"], row["f1_ci_high"]) == (f1["value"], f1["ci_low"], f1["ci_high"])
        assert (row["support"], row["dtype"], row["aggregation"]) == (f1["support"], "fp32", f1["aggregation"])
        assert [row[name] for name in ("precision", "recall")] == [
            numbers[row["model"], row["gold"], name]["value"] for name in ("precision", "recall")
        ]


def test_latest_has_all_rows_of_these_runs(both: str) -> None:
    expected = read_results(both, "metrics", filters=[("run_id", "=", "complete")])
    assert ask(both, "SELECT count(*) AS n, count(DISTINCT run_id) AS runs FROM latest") == [
        {"n": expected.num_rows, "runs": 1}
    ]


def test_the_command_prints_them(old: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["results", "sql", "--results", old]) == 0
    assert capsys.readouterr().out == f"{views(old)}\n"


def test_a_quote_in_a_folder(old: str) -> None:
    renamed = Path(old).rename(Path(old).with_name("Anna's results"))
    assert ask(str(renamed), "SELECT count(*) AS n FROM runs") == [{"n": 4}]


@pytest.mark.parametrize(("name", "message"), [("empty", "no metrics yet"), ("a[b]", r"have \[")])
def test_stores_without_views(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        views(str(tmp_path / name))
