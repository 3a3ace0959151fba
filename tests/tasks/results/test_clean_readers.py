"""Rows about perturbed words in `metrics` and `predictions` change nothing for anybody who does not ask for them."""

import ast
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from report_site import configuration, two_nights

from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.tables import read_newest_first, read_results, write_table
from nerbench.tasks.comparison import paired_differences
from nerbench.tasks.comparison.compare import Query as CompareQuery
from nerbench.tasks.comparison.compare import compare
from nerbench.tasks.comparison.reproducibility import changed
from nerbench.tasks.comparison.scored_runs import find_scored_run
from nerbench.tasks.publishing.card_evidence import find_evidence
from nerbench.tasks.report.history import Window, predecessors, read_history
from nerbench.tasks.report.model_scores import read_model_scores
from nerbench.tasks.report.report import build
from nerbench.tasks.results.history import Query, history
from nerbench.tasks.results.query import is_headline, select_runs
from nerbench.tasks.results.rescoring import scored_predictions, write_missing
from nerbench.tasks.results.sql import views
from nerbench.tasks.results.summary import leaderboard, read_run
from nerbench.tasks.results.tracking import metrics_of
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import HEADLINE
from nerbench.tasks.scoring.stored_predictions import stored

ROOT = Path(__file__).resolve().parents[3]
UNTIL = datetime(2030, 2, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 50)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two nights, the first one from before there was the column."""
    folder = tmp_path_factory.mktemp("clean") / "results"
    two_nights(str(folder))
    for file in (folder / "metrics/schema=2/date=2030-01-01").glob("*.parquet"):
        pq.write_table(pq.read_table(file, partitioning=None).drop_columns(["perturbation"]), file)
    return str(folder)


@pytest.fixture(scope="module")
def perturbed(clean: str) -> str:
    """The same with rows about perturbed words, which have every number and are much worse."""
    results = shutil.copytree(clean, f"{clean}-perturbed")
    for table in ("metrics", "predictions"):
        for dated in read_newest_first(clean, table):
            worse = {"perturbation": "lower", "words_sha256": "other", "predictions_digest": "other"}
            worse |= {"value": 0.01, "ci_low": 0.0, "ci_high": 0.02} if table == "metrics" else {}
            write_table(str(results), table, [row | worse for row in dated.rows.to_pylist()], date=dated.date, key="p")
    rows = [row for row in read_results(clean, "gate").to_pylist() if row["kind"] == "rule"]
    rows = [row | {"perturbation": "lower", "base": 0.01, "rule": 9, "failed": False} for row in rows]
    write_table(str(results), "gate", rows, date="2030-01-02", key="p")
    return str(results)


def artifact(results: str) -> str:
    return str(read_run(results).metrics[0]["artifact_id"])


def view(name: str) -> Callable[[str], Any]:
    def ask(results: str) -> Any:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(views(results))
            return sorted(map(str, connection.sql(f"FROM {name}").to_arrow_table().to_pylist()))

    return ask


def unchanged_models(results: str) -> Any:
    rows = [row for row in read_run(results).metrics if is_headline(row)]
    run = Run(run_id="later", flow="f", date="2030-01-03", started_at=UNTIL, attempt=1, results=results)
    return changed(run, configuration(results), [stored(results, row) for row in rows])


def without_folders(found: Any, clean: str) -> str:
    return str(found).replace(f"{clean}-perturbed", "").replace(clean, "")


READERS: dict[str, Callable[[str], Any]] = {
    "read_results": lambda results: read_results(results, "metrics").to_pylist(),
    "some columns": lambda results: read_results(results, "metrics", columns=["model", "value"]).to_pylist(),
    "filters": lambda results: read_results(results, "metrics", filters=[("mode", "=", "strict")]).to_pylist(),
    "predictions": lambda results: read_results(results, "predictions", columns=["pred_tag"]).to_pylist(),
    "leaderboard": lambda results: leaderboard(read_run(results).metrics),
    "headline": lambda results: [row for row in read_run(results, "night-1").metrics if is_headline(row)],
    "runs": select_runs,
    "history": lambda results: history(results, "good", Query()),
    "scored run": lambda results: find_scored_run("good#night-2", "nowhere", results),
    "compare": lambda results: compare(
        "good#night-1", "good#night-2", configuration(results), CompareQuery()
    ).to_json(),
    "card": lambda results: find_evidence(results, artifact(results)),
    "report: history": lambda results: read_history(results, "2030-01-02"),
    "report: scores": lambda results: read_model_scores(results, select_runs(results)),
    "report: leaderboard": lambda results: build(results).board,
    "report: predecessors": lambda results: list(
        predecessors(results, UNTIL, ["value", "run_id", "started_at"], Window("2030-02-01", 9), [])
    ),
    "trackers": lambda results: metrics_of(read_run(results), artifact(results)),
    "rescoring": lambda results: scored_predictions(results, None),
    "reproducibility": unchanged_models,
    **{f"view {name}": view(name) for name in ("metrics", "trend", "headline", "latest")},
}


@pytest.mark.parametrize("name", READERS)
def test_readers_see_the_clean_split_only(name: str, clean: str, perturbed: str) -> None:
    expected = without_folders(READERS[name](clean), clean)
    assert len(expected) > 2 or name == "reproducibility"
    assert without_folders(READERS[name](perturbed), clean) == expected


def test_who_asks_gets_all_rows(clean: str, perturbed: str) -> None:
    every = read_results(perturbed, "metrics", perturbed=True)
    assert every.num_rows == 2 * read_results(clean, "metrics").num_rows
    found = {(row["perturbation"], row["value"] == 0.01) for row in every.to_pylist() if row["value"] is not None}
    assert found == {(None, False), ("lower", True)}
    dates = list(read_newest_first(perturbed, "metrics", columns=["model"], perturbed=True))
    assert sum(dated.rows.num_rows for dated in dates) == every.num_rows
    assert {tuple(dated.rows.column_names) for dated in dates} == {("model",)}
    assert len(view("perturbed_metrics")(perturbed)) == every.num_rows // 2
    assert view("perturbed_metrics")(clean) == []


def test_a_number_of_perturbed_words_is_no_number_of_the_clean_split(perturbed: str, tmp_path: Path) -> None:
    """A new metric is added to a run that has it for perturbed words only."""
    results = str(shutil.copytree(perturbed, tmp_path / "results"))
    (one, *_) = scored_predictions(results, None)
    row = HEADLINE | {"metric": "new", "value": 0.5, "status": "ok", "parameters": None, "source": None}
    other = read_results(results, "metrics", filters=[("run_id", "=", one.runs[0].run_id)]).to_pylist()[0]
    wrong = other | row | {"artifact_id": one.predicted.artifact_id, "perturbation": "lower"}
    write_table(results, "metrics", [wrong], date=one.runs[0].date, key="w")
    assert [found["metric"] for found in write_missing(one.runs[0], one.predicted, [row])[1]] == ["new"]
    assert write_missing(one.runs[0], one.predicted, [row])[1] == []


def test_compaction_keeps_them_apart(clean: str, perturbed: str, tmp_path: Path) -> None:
    results = str(shutil.copytree(perturbed, tmp_path / "results"))
    compact(results, ["metrics"], grace=timedelta(0), now=UNTIL)
    for asked in (False, True):
        before, after = (read_results(one, "metrics", perturbed=asked) for one in (perturbed, results))
        assert sorted(map(str, after.to_pylist())) == sorted(map(str, before.to_pylist()))


def test_only_exports_ask_for_them() -> None:
    asking = {
        str(path.relative_to(ROOT))
        for folder in ("artifacts", "tasks", "flows", "nerbench")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and any(one.arg == "perturbed" for one in node.keywords)
        if isinstance(node.func, ast.Name) and node.func.id.startswith("read_")
    }
    assert asking == {"tasks/results/export.py"}


def test_a_day_with_perturbed_rows_only_is_no_day_with_scores(perturbed: str, tmp_path: Path) -> None:
    results = str(shutil.copytree(perturbed, tmp_path / "results"))
    rows = [row for row in read_results(results, "metrics", perturbed=True).to_pylist() if row["perturbation"]]
    write_table(results, "metrics", [row | {"run_id": "later"} for row in rows], date="2030-01-05", key="only")
    assert [dated.date for dated in read_newest_first(results, "metrics")] == ["2030-01-02", "2030-01-01"]
