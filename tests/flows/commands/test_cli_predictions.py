"""`nerbench predictions import` in process, and the commands that refuse imported predictions."""

import json
from pathlib import Path

import pytest
from small_corpus import write_corpus

from nerbench.flows.cli import status_of

CONFIGURATION = """
store: ./store
results: ./results
datasets:
- {name: own, files: {test: test.txt, validation: validation.txt}}
- {name: other, files: {test: validation.txt}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "nerbench.yaml").write_text(CONFIGURATION)
    write_corpus(tmp_path / "test.txt", 2)
    write_corpus(tmp_path / "validation.txt", 1)
    return tmp_path


def run(*arguments: str) -> int:
    return status_of(["predictions", "import", *arguments])


def test_the_stored_predictions_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test.txt", "--model", "vendor", "--dataset", "own", "--label-map", "PER=PER,MISC=O") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "66 words of own, test, tags read as IOB2; entity types: LOC, MISC, ORG, PER"
    assert "next: nerbench benchmark vendor" in captured.err
    assert status_of(["artifacts", "ls", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["artifacts"]
    assert (listed["name"], listed["kind"], listed["aliases"]) == ("vendor", "predictions", ["latest"])
    assert status_of(["artifacts", "show", "vendor"]) == 0
    shown = capsys.readouterr().out
    assert "label_map.MISC" in shown
    assert "imported.corpus.split" in shown
    assert status_of(["artifacts", "verify", "vendor"]) == 0


def test_another_split(capsys: pytest.CaptureFixture[str]) -> None:
    split = ("--dataset", "own", "--split", "validation")
    assert run("validation.txt", "--model", "vendor", *split, "--json") == 0
    assert json.loads(capsys.readouterr().out)["name"] == "vendor"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test.txt", "--model", "v"], "--dataset: is missing, and there are several; name one of own, other"),
        (["test.txt", "--model", "v", "--dataset", "mine"], "--dataset: there is no data set mine; name one of own"),
        (["test.txt", "--model", "v", "--dataset", "own", "--split", "train"], "dataset own: it has no train split;"),
        (["test.txt", "--model", "a/b", "--dataset", "own"], "name 'a/b': cannot be used;"),
        (["none.txt", "--model", "v", "--dataset", "own"], "none.txt: No such file or directory"),
        (["validation.txt", "--model", "v", "--dataset", "own"], "6 of 12 sentences differ; the file has 6 sentences"),
        (["test.txt", "--model", "v", "--dataset", "own", "--label-map", "PER"], "--label-map: 'PER' renames nothing;"),
        (["nerbench.yaml", "--model", "v", "--dataset", "own"], "nerbench.yaml:"),
    ],
)
def test_a_wrong_request_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "vendor", "Anna left ."],
        ["speed", "vendor"],
        ["publish", "vendor", "--to", "org/name", "--dry-run"],
        ["artifacts", "show", "vendor", "--card"],
    ],
)
def test_commands_that_need_weights_refuse_predictions(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("test.txt", "--model", "vendor", "--dataset", "own") == 0
    capsys.readouterr()
    assert status_of(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "model vendor: is imported predictions without weights to load; name a model with weights" in line
