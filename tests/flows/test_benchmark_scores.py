"""Rows of a benchmark besides the leaderboard: slices, intervals, custom metrics and benchmark functions."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_corpus import SENTENCES, write_corpus

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.metrics import Row

pytestmark = pytest.mark.e2e

OWN = Path(__file__).with_name("own_metrics.py")
FUNCTIONS = Path(__file__).with_name("own_functions.py")
DOCUMENTS = 24
ENTITIES = sum(line.count("B-") for line in SENTENCES)


def benchmark(config: Config, **options: Any) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    summary: dict[str, Any] = benchmark(config, **options)
    return summary


def changed(config: Config, results: Path, test: str, **sections: Any) -> Config:
    """The flow tests' configuration with other results, test split and sections."""
    data = config.model_dump() | {"results": str(results)} | sections
    data["datasets"] = [data["datasets"][0] | {"files": data["datasets"][0]["files"] | {"test": test}}]
    return Config.model_validate(data)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the metrics and slices."""
    return Path(shutil.copy(OWN, tmp_path_factory.mktemp("code") / "own_metrics.py"))


@pytest.fixture(scope="module")
def own(config: Config, finished: dict[str, Any], file: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A corpus of many documents, a third of which have other tags than the training data."""
    folder = tmp_path_factory.mktemp("scores")
    path = Path(write_corpus(folder / "test.txt", DOCUMENTS))
    parts = path.read_text().split("-DOCSTART- O\n")
    path.write_text("-DOCSTART- O\n".join(p.replace("B-MISC", "O") if n % 3 == 0 else p for n, p in enumerate(parts)))
    slices = [{"name": "short", "where": "sentence_length <= 5"}, {"name": "paris", "function": f"{file}:is_paris"}]
    return changed(config, folder / "results", str(path), slices=slices, metrics=[str(file), str(FUNCTIONS)])


@pytest.fixture(scope="module")
def summary(own: Config) -> dict[str, Any]:
    """The summary of a benchmark of one model."""
    return benchmark(own, models=["tiny"])


def named(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if wanted.items() <= row.items()]


def strict_f1(rows: list[Row]) -> dict[str, Row]:
    return {row["slice"]: row for row in named(rows, mode="strict", metric="f1", average="micro")}


def test_the_rows_of_the_summary_are_those_of_the_table(own: Config, summary: dict[str, Any]) -> None:
    written = read_results(own.results, "metrics", filters=[("run_id", "=", summary["run_id"])])
    assert written.num_rows == len(summary["metrics"])
    assert len(summary["tables"]["metrics"]) == 2, "those that time the model say something else at a retry"


def test_slices_are_scored(summary: dict[str, Any]) -> None:
    rows = strict_f1(summary["metrics"])
    n_gold = {name: row["n_gold"] for name, row in rows.items()}
    assert n_gold["all"] < DOCUMENTS * ENTITIES
    assert (n_gold["seen"], n_gold["unseen"]) == (n_gold["all"], 0)
    assert n_gold["paris"] == 2 * DOCUMENTS
    fitting = sum(line.count("B-") - line.count("MISC") for line in SENTENCES if line.split("|")[0].count(" ") < 5)
    assert n_gold["short"] == fitting * DOCUMENTS + named(summary["metrics"], label="MISC", slice="all")[0]["n_gold"]
    assert rows["paris"]["status"] == "ok"


def test_numbers_have_intervals(summary: dict[str, Any]) -> None:
    row = strict_f1(summary["metrics"])["all"]
    assert row["ci_low"] < row["value"] < row["ci_high"]
    assert (row["confidence"], row["reason"], row["n_documents"]) == (0.95, None, DOCUMENTS)


def test_too_few_entities_have_none(finished: dict[str, Any]) -> None:
    for row in strict_f1(finished["metrics"]).values():
        assert (row["ci_low"], row["ci_high"], row["ci_method"]) == (None, None, None)
    row = strict_f1(finished["metrics"])["all"]
    assert row["n_gold"] == 3 * ENTITIES
    assert "fewer than 30" in row["reason"]


def test_custom_metrics_are_rows_beside_the_built_in_ones(summary: dict[str, Any], file: Path) -> None:
    rows = summary["metrics"]
    (words,) = named(rows, metric="words")
    assert words["value"] == DOCUMENTS * sum(line.count(" ") // 2 + 1 for line in SENTENCES)
    assert words["source"].startswith("own_metrics.py@")
    assert [row["label"] for row in named(rows, metric="found")] == ["LOC", "PER"]
    half = strict_f1([row | {"metric": "f1"} for row in named(rows, metric="halved")])
    recall = named(rows, mode="strict", metric="recall", average="micro", slice="paris")[0]["value"]
    assert half["paris"]["value"] == pytest.approx(recall / 2)
    (broken,) = named(rows, metric="broken")
    assert (broken["status"], broken["value"]) == ("failed", None)
    assert broken["reason"].startswith("ZeroDivisionError: division by zero (own_metrics.py:")
    (parameters,) = named(rows, metric="parameters")
    assert parameters["value"] > 1000


@pytest.mark.slow
def test_a_metric_of_the_model_is_never_cached(own: Config, summary: dict[str, Any], file: Path) -> None:
    calls = file.with_name("calls.txt")
    before = calls.read_text()
    again = benchmark(own, models=["tiny"])
    assert (again["evaluated"], again["cached"]) == (0, 1)
    assert calls.read_text() == before + "x"
    kept = ("value", "ci_low", "ci_high", "n_gold", "status", "reason")
    assert [[row[name] for name in kept] for row in again["metrics"]] == [
        [row[name] for name in kept] for row in summary["metrics"]
    ]


def test_benchmark_functions_are_called_for_each_of_their_arguments(own: Config, summary: dict[str, Any]) -> None:
    written = read_results(own.results, "custom", filters=[("run_id", "=", summary["run_id"])]).to_pylist()
    rows = {(row["name"], row["parameters"]): row for row in written}
    assert len(summary["custom"]) == len(written) == len(rows) == 8
    (artifact,) = summary["artifacts"]
    without = {name for (name, _), row in rows.items() if row["artifact_id"] != artifact["artifact_id"]}
    assert without == {"sentences", "answer"}
    assert rows["vocabulary", "{}"]["value"] > 10
    assert rows["forward", '{"repeats": 2}']["unit"] == "s"
    assert (rows["size", "{}"]["model"], rows["size", "{}"]["dataset"]) == ("tiny", None)
    agreement = rows["agreement", "{}"]
    assert (agreement["dataset"], agreement["gold"], agreement["split"]) == ("own", "own", "test")
    assert rows["sentences", "{}"]["value"] == DOCUMENTS * len(SENTENCES)
    assert (rows["answer", "{}"]["value"], rows["answer", "{}"]["dataset"]) == (42, None)
    assert {name for (name, _), row in rows.items() if row["status"] == "failed"} == {"broken"}
    assert rows["broken", "{}"]["reason"].startswith("ZeroDivisionError: division by zero (own_functions.py:")


def test_without_the_training_corpus_seen_and_unseen_have_a_reason(own: Config, summary: dict[str, Any]) -> None:
    data = own.model_dump()
    data["datasets"][0]["files"] = {"test": data["datasets"][0]["files"]["test"]}
    rows = benchmark(Config.model_validate(data | {"metrics": []}), models=["tiny"])["metrics"]
    missing = named(rows, status="unavailable")
    assert [row["slice"] for row in missing] == ["seen", "unseen"]
    assert {row["reason"] for row in missing} == {"its training corpus (own train) is not among the data sets"}
    assert len(named(rows, slice="seen")) == 1


def test_a_slice_that_fails_fails_the_run_and_names_its_line(
    own: Config, summary: dict[str, Any], tmp_path: Path
) -> None:
    code = tmp_path / "code.py"
    code.write_text("def mine(words):\n    return words['nothing']\n")
    data = own.model_dump() | {"slices": [{"name": "mine", "function": f"{code}:mine"}]}
    with pytest.raises(RunFailedError, match=r"1 failed: tiny: slice mine: .*KeyError.*code\.py:2") as caught:
        benchmark(Config.model_validate(data), models=["tiny"])
    assert caught.value.summary is not None
    assert "metrics" not in caught.value.summary["tables"], "the next attempt can write its rows"


@pytest.fixture
def job(own: Config, tmp_path: Path) -> str:
    """The configuration without custom metrics, as a file."""
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(own.model_dump(mode="json") | {"metrics": []}))
    return str(path)


def test_the_command_takes_files_and_tags(
    job: str, summary: dict[str, Any], file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["benchmark", "tiny@latest", "-c", job, "--metrics", str(file), "--metrics", str(FUNCTIONS)]
    command += ["--tags", "mine", "--tags", "alone,bad"]
    assert status_of([*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {row["metric"] for row in printed["metrics"]} == {"words", "found", "halved", "broken"}
    assert [row["name"] for row in printed["custom"]] == ["answer", "broken"]
    assert status_of(command) == 0
    shown = capsys.readouterr().out
    assert "custom metrics" in shown
    assert {"words", "found", "halved"} <= set(shown.split())
    assert "custom functions" in shown
    assert "F1" not in shown


def test_functions_alone_need_neither_models_nor_data_sets(
    prefect_server: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {name: str(tmp_path / name) for name in ("store", "results")}
    job = tmp_path / "job.yaml"
    job.write_text(yaml.safe_dump(where | {"metrics": [str(FUNCTIONS)], "benchmark": {"models": []}}))
    assert status_of(["benchmark", "-c", str(job), "--tags", "alone", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["tables"].keys() == {"custom", "runs"}
    assert "report" not in output.err
    (row,) = read_results(where["results"], "custom").to_pylist()
    assert (row["name"], row["value"], row["artifact_id"]) == ("answer", 42, None)
    for tag, says in (("functions", "datasets: there is no corpus"), ("size", "benchmark.models: is an empty list")):
        assert status_of(["benchmark", "-c", str(job), "--tags", tag]) == 2
        assert says in capsys.readouterr().err
