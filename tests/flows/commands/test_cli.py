"""The command line in process: its output on stdout and stderr, and its exit statuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.store import Store
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config


@pytest.fixture
def config_file(config: Config, tmp_path: Path) -> str:
    """The flow tests' configuration as a file."""
    path = tmp_path / "nerbench.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return str(path)


@pytest.mark.e2e
def test_benchmark_json_is_one_object_on_stdout(
    config_file: str, finished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["benchmark", "tiny@latest", "-c", config_file, "--set", "benchmark.report=true", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"run_id", "artifacts", "tables", "evaluated", "cached", "metrics", "gate", "report"}
    assert printed["cached"] == 1
    assert set(printed["artifacts"][0]) == {"name", "artifact_id", "uri"}


@pytest.mark.e2e
def test_benchmark_prints_a_table_and_the_number_of_cached_models(
    config_file: str, finished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["benchmark", "-c", config_file]) == 0
    printed = capsys.readouterr()
    assert "F1" in printed.out
    assert "cached: 2" in printed.err
    assert "prefect" not in printed.err.lower()


@pytest.mark.e2e
def test_results_show_reads_the_newest_run(
    config_file: str, finished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["results", "show", "-c", config_file, "--run", finished["run_id"], "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["run_id"] == finished["run_id"]
    assert len(printed["metrics"]) == len(finished["metrics"])
    assert status_of(["results", "show", "-c", config_file, "--run", finished["run_id"], "--labels"]) == 0
    assert "micro average" in capsys.readouterr().out


@pytest.mark.e2e
def test_artifacts_are_listed_shown_verified_pulled_and_pushed(
    config_file: str, finished: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> Any:
        assert status_of(["artifacts", *arguments, "-c", config_file]) == 0
        return capsys.readouterr().out

    listed = json.loads(run("ls", "--json"))["artifacts"]
    assert {entry["name"] for entry in listed} == {"tiny", "tinier"}
    assert json.loads(run("show", "tiny", "--json"))["provenance"]["seed"] == 0
    assert json.loads(run("verify", "tiny", "--json"))["ok"] is True
    run("pull", "tiny", str(tmp_path / "copy"))
    other = str(tmp_path / "other-store")
    pushed = json.loads(run("push", str(tmp_path / "copy"), "--name", "imported", "--store", other, "--json"))
    assert pushed["name"] == "imported"
    run("show", "imported", "--store", other)


@pytest.mark.e2e
def test_an_artifact_is_shown_in_80_columns_or_with_all_keys(
    config_file: str, finished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["artifacts", "show", "tiny", "-c", config_file]) == 0
    shown = capsys.readouterr()
    keys = [line.split()[0] for line in shown.out.splitlines()]
    assert "metrics.validation_f1" in keys
    assert "versions.accelerate" not in keys
    assert max(map(len, keys)) + 2 + max(map(len, shown.out.split())) <= 80, "no word of the values is broken"
    assert re.fullmatch(r"--all shows all \d+ keys, and the digests of the files\n", shown.err)
    assert status_of(["artifacts", "show", "tiny", "-c", config_file, "--all"]) == 0
    everything = capsys.readouterr().out
    assert "versions.accelerate" in everything
    assert re.search(r"config\.json +\d+ +[0-9a-f]{64}", everything)


@pytest.mark.e2e
def test_an_alias_moves_to_the_given_reference(
    config_file: str, finished: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, other = str(tmp_path / "copy"), str(tmp_path / "store")
    assert status_of(["artifacts", "pull", "tiny", copy, "-c", config_file]) == 0
    assert status_of(["artifacts", "push", copy, "--name", "mine", "-c", config_file, "--store", other]) == 0
    here = ["-c", config_file, "--store", other]
    assert status_of(["artifacts", "alias", "mine@latest", "champion", *here]) == 0
    assert status_of(["artifacts", "show", "mine@champion", *here]) == 0
    for reference, alias, says in (
        ("mine@nobody", "champion", "nobody"),
        ("mine", "a/b", "alias 'a/b': cannot be used"),
        (copy, "champion", "is not published, so it has no aliases"),
    ):
        capsys.readouterr()
        assert status_of(["artifacts", "alias", reference, alias, *here]) == 2
        assert says in capsys.readouterr().err
    assert list(Store(other).aliases("mine")) == ["champion", "latest"]


@pytest.mark.e2e
def test_verify_fails_on_a_flipped_byte(
    config_file: str, config: Config, finished: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    other = str(tmp_path / "store")
    assert status_of(["artifacts", "pull", "tiny", str(copy), "-c", config_file]) == 0
    assert status_of(["artifacts", "push", str(copy), "--name", "tiny", "-c", config_file, "--store", other]) == 0
    weights = max(Path(other).glob("blobs/sha256/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.chmod(0o644)
    weights.write_bytes(data)
    capsys.readouterr()
    assert status_of(["artifacts", "verify", "tiny", "-c", config_file, "--store", other]) == 1
    assert "model.safetensors: has sha256" in capsys.readouterr().out


@pytest.mark.e2e
def test_a_benchmark_needs_no_base_model_and_a_listing_no_corpus(
    config: Config, finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NERBENCH_UNSET", raising=False)
    data = config.model_dump(mode="json")
    data["models"] = [{"name": "a", "base": "${NERBENCH_UNSET}"}, {"name": "b", "base": "/nowhere/at/all"}]
    path = tmp_path / "nerbench.yaml"
    path.write_text(yaml.safe_dump(data))
    assert status_of(["benchmark", "tiny", "-c", str(path)]) == 0
    assert status_of(["train", "-c", str(path)]) == 2
    data["datasets"][0]["files"] = {"test": "nowhere.txt"}
    path.write_text(yaml.safe_dump(data))
    assert status_of(["artifacts", "ls", "-c", str(path)]) == 0
    assert status_of(["benchmark", "tiny", "-c", str(path)]) == 2


def test_a_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["benchmark", "--nope"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "--nope" in printed.err
    assert "See `nerbench benchmark --help`." in printed.err


def test_an_unknown_choice_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["results", "export", "--format", "xml"]) == 2
    assert capsys.readouterr().err.startswith("nerbench: Invalid value for '--format': 'xml' is not one of 'tables',")


def test_a_number_out_of_range_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["compare", "a", "b", "--margin", "-3"]) == 2
    assert "greater than or equal to 0. See `nerbench compare --help`." in capsys.readouterr().err


def test_a_planted_bug_exits_70_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nerbench.artifacts.store.Store.list", lambda self: 1 / 0)
    assert status_of(["artifacts", "ls"]) == 70
    printed = capsys.readouterr().err
    assert "ZeroDivisionError" in printed
    assert "bug in nerbench" in printed


def test_a_failed_run_prints_its_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = {"run_id": "r", "artifacts": [], "tables": {}, "evaluated": 0, "cached": 0, "metrics": []}

    def fail(*_: Any, **__: Any) -> None:
        raise RunFailedError("1 failed: a: no", summary)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nerbench.flows.preflight.benchmark", fail)
    assert status_of(["benchmark", "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == summary
    assert printed.err == "nerbench: 1 failed: a: no\n"
