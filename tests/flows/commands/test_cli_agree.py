"""`nerbench agree` in process."""

import json
from pathlib import Path
from typing import Any

import pytest
from scored_runs import score

from nerbench.flows.cli import status_of

GOLD = [["B-LOC", "O", "B-PER"], ["B-ORG", "I-ORG"]]
FIRST = [["B-LOC", "O", "O"], ["B-ORG", "I-ORG"]]
SECOND = [["B-LOC", "O", "B-PER"], ["B-ORG", "O"]]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    score("results", 1, GOLD, FIRST, model="first")
    score("results", 2, GOLD, SECOND, model="second")
    return str(tmp_path / "results")


def agree(*arguments: str) -> int:
    return status_of(["agree", *arguments, "--results", "results", "--store", "store"])


def test_models_are_compared_with_each_other_and_with_the_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    assert agree("first", "second", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dataset"], found["gold"]) == ("own", "own")
    assert [(one["model"], one["f1"]) for one in found["models"]] == [("first", 0.8), ("second", pytest.approx(2 / 3))]
    assert found["pairs"] == [{"a": 0, "b": 1, "f1": pytest.approx(0.4)}]
    assert {row["label"]: (row["support"], row["any"], row["all"]) for row in found["labels"]} == {
        "overall": (3, 1.0, pytest.approx(1 / 3)),
        "LOC": (1, 1.0, 1.0),
        "ORG": (1, 1.0, 0.0),
        "PER": (1, 1.0, 0.0),
    }
    assert found["oracle_f1"] == 1.0
    assert agree("first", "second") == 0
    printed = capsys.readouterr().out
    assert "1 first" in printed
    assert "the best choice of one model for each sentence has F1 100.00" in printed


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [
        (["first"], {}, "REF: names one model; name at least two"),
        (["first", "second", "first"], {}, "REF: names first twice; name it once"),
        (["first", "none"], {}, "none"),
        (["first", "second", "--gold", "other"], {}, "model 'first': was not scored against other; benchmark it, or"),
        (["first", "third"], {"dataset": "another"}, "--dataset: is missing, and the models were scored on several"),
        (["first", "third"], {"gold": [["O"]], "predicted": [["O"]]}, "first and third: the two were scored on differ"),
        (["first#2030-01-01", "third", "--dataset", "a"], {}, "first#2030-01-01 was not scored on a; choose among own"),
    ],
)
def test_a_wrong_request_is_one_line(
    arguments: list[str], more: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = {"gold": GOLD, "predicted": FIRST, "model": "third"} | more
    score("results", 3, scored.pop("gold"), scored.pop("predicted"), **scored)
    assert agree(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_missing_predictions_say_what_to_run(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    for path in Path(results, "predictions").rglob("date=2030-01-02/*.parquet"):
        path.unlink()
    assert agree("first", "second") == 2
    assert "the predictions of second on own (own) are gone; run `nerbench benchmark second` again" in (
        capsys.readouterr().err
    )
