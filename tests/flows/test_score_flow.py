"""`nerbench score`: numbers for past runs from stored predictions, without store, model or inference."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from small_corpus import SENTENCES

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.cli import status_of
from nerbench.tasks import prefect_tasks
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted

pytestmark = pytest.mark.e2e

OWN = Path(__file__).with_name("own_metrics.py")
WORDS = 3 * sum(line.count(" ") // 2 + 1 for line in SENTENCES)


@pytest.fixture
def night(config: Config, untouched: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The configuration with a copy of the results and a file of metrics, but without the models."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is loaded to score stored predictions")

    monkeypatch.setattr("nerbench.tasks.inference.loading.load_tagger", refuse)
    shutil.copytree(untouched, tmp_path / "results")
    shutil.copy(OWN, tmp_path / "own_metrics.py")
    places = {"store": str(tmp_path / "nowhere"), "results": str(tmp_path / "results"), "models": []}
    return Config.model_validate(config.model_dump() | places | {"metrics": [str(tmp_path / "own_metrics.py")]})


def score(config: Config, since: str | None = None) -> dict[str, Any]:
    from nerbench.flows.score import score

    return score(config, since=since)


def of_run(results: str, run_id: str) -> list[Row]:
    rows: list[Row] = read_results(results, "metrics", filters=[("run_id", "=", run_id)]).to_pylist()
    return rows


def test_a_past_run_is_scored_with_a_new_metric(
    config: Config, night: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    files = {path: path.read_bytes() for path in Path(night.results).rglob("*.parquet")}
    (date,) = {path.parent.name for path in files if "metrics" in path.parts}
    summary = score(night, date.removeprefix("date="))
    assert (summary["evaluated"], summary["cached"]) == (0, 0)
    assert {path.parent.name for path in map(Path, summary["tables"]["metrics"])} == {date}
    assert all(path.read_bytes() == content for path, content in files.items())
    before = of_run(config.results, finished["run_id"])
    rows = [row for row in of_run(night.results, finished["run_id"]) if row not in before]
    assert all(row["source"].startswith("own_metrics.py@") for row in rows), "built-in ones stand there already"
    words = {row["model"]: row for row in rows if row["metric"] == "words"}
    assert {name: row["value"] for name, row in words.items()} == {"tiny": WORDS, "tinier": WORDS}
    known = {name: words["tiny"][name] for name in ("run_id", "started_at", "attempt", "predictions_digest")}
    assert any(known.items() <= row.items() for row in before)
    halved = [row for row in rows if row["metric"] == "halved" and row["slice"] == "length_1"]
    assert {row["mode"] for row in halved} == {"strict", "conlleval"}
    (parameters, _) = (row for row in rows if row["metric"] == "parameters")
    assert parameters["reason"] == "it needs the model, which is not loaded for scoring stored predictions"
    (run,) = read_results(night.results, "runs", filters=[("flow", "=", "score")]).to_pylist()
    assert (run["outcome"], run["run_id"]) == ("ok", summary["run_id"])


@pytest.mark.slow
def test_a_second_time_there_is_nothing_to_add(night: Config, tmp_path: Path) -> None:
    assert score(night)["metrics"]
    before = sorted(path for path in Path(night.results, "metrics").rglob("*"))
    again = score(night)
    assert again["metrics"] == []
    assert set(again["tables"]) == {"runs"}
    assert sorted(path for path in Path(night.results, "metrics").rglob("*")) == before
    file = tmp_path / "own_metrics.py"
    file.write_text(file.read_text().replace("num_rows", "num_rows + 1"))
    changed = score(night)["metrics"]
    assert {row["metric"] for row in changed} == {"words", "found", "halved", "broken", "parameters"}
    assert {row["value"] for row in changed if row["metric"] == "words"} == {WORDS + 1}


@pytest.mark.slow
def test_predictions_of_several_runs_are_scored_once_and_added_to_each(
    night: Config, finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (p for p in Path(night.results, "metrics").rglob("*.parquet") if _model(p) == "tiny")
    rows = pq.read_table(path, partitioning=None)
    other = path.parents[1] / "date=2020-01-01" / path.name
    other.parent.mkdir()
    run_id = rows.column_names.index("run_id")
    pq.write_table(rows.set_column(run_id, rows.schema.field(run_id), [["past"] * rows.num_rows]), other)
    opened: list[str] = []
    honest = prefect_tasks.score_stored

    def noted(predicted: Predicted, config: Config) -> list[Row]:
        opened.append(predicted.model)
        return honest(predicted, config)

    monkeypatch.setattr(prefect_tasks, "score_stored", noted)
    added = score(night)["metrics"]
    assert sorted(opened) == ["tinier", "tiny"]
    words = [(row["run_id"], row["model"]) for row in added if row["metric"] == "words"]
    assert sorted(words) == sorted([("past", "tiny"), (finished["run_id"], "tiny"), (finished["run_id"], "tinier")])


def test_lost_predictions_stop_nothing_else(night: Config) -> None:
    (lost,) = (p for p in Path(night.results, "predictions").rglob("*.parquet") if _model(p) == "tinier")
    lost.unlink()
    with pytest.raises(RunFailedError, match=r"^1 failed: tinier on own: .* are gone; run `nerbench benchmark tinier`"):
        score(night)
    rows = read_results(night.results, "metrics", filters=[("metric", "=", "words")]).to_pylist()
    assert [row["model"] for row in rows] == ["tiny"]


def _model(path: Path) -> str:
    model: str = pq.read_table(path, columns=["model"], partitioning=None)["model"][0].as_py()
    return model


def test_the_command(night: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(night.model_dump(mode="json") | {"metrics": []}))
    command = ["score", "-c", str(path), "--metrics", str(tmp_path / "own_metrics.py"), "--since", "2020-01-01"]
    assert status_of([*command, "--tags", "mine"]) == 0
    printed = capsys.readouterr()
    assert {"tiny", "words", "found", "halved", f"{WORDS:.2f}"} <= set(printed.out.split())
    assert "existing rows are unchanged" in printed.err
    assert status_of([*command, "--json"]) == 0
    rest = json.loads(capsys.readouterr().out)["metrics"]
    assert {row["metric"] for row in rest} == {"broken", "parameters"}
    files = sorted(tmp_path.rglob("*"))
    assert status_of([*command[:-1], "2999-01-01"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == files
