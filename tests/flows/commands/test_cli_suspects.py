"""`nerbench suspects` in process: rank, export, decide, import, and the gold that comes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from benched import write_conll
from scored_runs import score
from tagging import Sentences

from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.cli import status_of
from nerbench.tasks.comparison import paired_differences
from nerbench.tasks.config import GoldConfig
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus import load_gold, load_splits

GOLD = [["B-LOC", "O"], ["B-PER", "I-PER"], ["O", "B-ORG"], ["B-LOC", "O"]]
TRUE = [["B-ORG", "O"], ["B-PER", "I-PER"], ["O", "B-ORG"], ["B-LOC", "B-PER"]]
DOCUMENTS = [0, 0, 1, 1]
CONFIGURATION = """
store: ./store
results: ./results
datasets:
- {name: own, files: {train: own.txt, test: own.txt}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nerbench.yaml").write_text(CONFIGURATION)
    write_conll(tmp_path / "own.txt", GOLD, DOCUMENTS)
    scored(1, TRUE, model="first")
    scored(2, TRUE, model="second")
    return tmp_path


def scored(night: int, predicted: Sentences, **more: Any) -> None:
    corpus = load_splits(load_config(None).datasets[0])["test"]
    digests = {"words_sha256": corpus.words_sha256, "gold_sha256": corpus.gold_sha256}
    score("results", night, GOLD, predicted, documents=DOCUMENTS, version=night, digests=digests, **more)


MODELS = ("--models", "first", "--models", "second")


def test_suspects_are_ranked_decided_and_scored_against(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert status_of(["suspects", *MODELS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["dataset"], found["gold"], found["models"]) == ("own", "own", ["first", "second"])
    assert {(one["sentence"], one["kind"]) for one in found["suspects"]} == {(0, "type"), (3, "missing")}
    stored = read_results("results", "suspects").to_pylist()
    assert [row["score"] for row in stored] == [one["score"] for one in found["suspects"]]
    terms = [name for name in stored[0] if name.startswith("term_")]
    assert stored[0]["score"] == pytest.approx(stored[0]["prior"] + sum(stored[0][name] for name in terms))

    assert status_of(["suspects", "export", "--tool", "prodigy", "-o", "tasks.jsonl"]) == 0
    tasks = [json.loads(line) for line in Path("tasks.jsonl").read_text().splitlines()]
    answers = {0: "accept", 3: "reject"}
    Path("decided.jsonl").write_text(
        "".join(json.dumps(task | {"answer": answers[task["sentence"]]}) + "\n" for task in tasks)
    )
    capsys.readouterr()
    assert status_of(["suspects", "import", "decided.jsonl", "-o", "reviewed.txt"]) == 0
    printed = capsys.readouterr()
    assert "1 sentences decided, 1 of them changed; 1 open" in printed.err
    (folder / "nerbench.yaml").write_text(CONFIGURATION + printed.out)
    config = load_config(None)
    (gold,) = config.golds
    assert isinstance(gold, GoldConfig)
    corpus = load_gold(gold, config.datasets[0], load_splits(config.datasets[0])["test"])
    assert list(corpus.tags) == [TRUE[0], *GOLD[1:]]


def test_decisions_on_a_json_data_set_are_written_in_the_encoding_of_golds(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "own.jsonl").write_text('{"tokens": ["Åse", "left"], "ner_tags": ["O", "O"]}\n', encoding="latin-1")
    dataset = "datasets: [{name: own, format: json, encoding: latin-1, files: {test: own.jsonl}}]\n"
    (folder / "nerbench.yaml").write_text(dataset)
    decided = {"sentence": 0, "text": "Åse left", "label": [[0, 3, "PER"]]}
    (folder / "decided.jsonl").write_text(json.dumps(decided))
    assert status_of(["suspects", "import", "decided.jsonl", "-o", "reviewed.txt"]) == 0
    (folder / "nerbench.yaml").write_text(dataset + capsys.readouterr().out)
    config = load_config(None)
    corpus = load_gold(config.golds[0], config.datasets[0], load_splits(config.datasets[0])["test"])
    assert list(corpus.tags) == [["B-PER", "O"]]


def test_people_read_proposals_with_their_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["suspects", "rank", *MODELS, "--top", "1"]) == 0
    printed = capsys.readouterr()
    assert "2 of 2 models predict it: first" in printed.out
    assert "suspects found by first, second: 2; " in printed.err


def test_compare_splits_flips_by_the_newest_ranking(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 50)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)
    scored(3, GOLD, model="third")
    sides = ["first#night-1", "third#night-3"]
    assert status_of(["compare", *sides]) == 0
    assert "supports" not in capsys.readouterr().out
    assert status_of(["suspects", *MODELS]) == 0
    capsys.readouterr()
    assert status_of(["compare", *sides]) == 0
    assert "the gold supports base in 0 flips" in capsys.readouterr().out
    assert status_of(["compare", *sides, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["suspect_gold"]
    flips = sum(found[f"supports_{side}"] for side in ("base", "candidate", "neither"))
    assert flips + sum(found[f"suspect_{kind}"] for kind in ("lost", "gained", "changed")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nobody"], "model 'nobody'"),
        (["--dataset", "mine", *MODELS], "--dataset: there is no data set mine; name one of own"),
        (["--gold", "new", *MODELS], "--gold: own has no annotation new; choose among own"),
        ([], "no model"),
        (["export", "-o", "tasks.jsonl"], "gold own: has no ranking; run `nerbench suspects` first"),
        (["export", "-o", "own.txt"], "-o own.txt: exists already"),
        (["import", "none.jsonl", "-o", "reviewed.txt"], "none.jsonl: No such file"),
        (["import", "own.txt", "-o", "own.txt"], "-o own.txt: exists already"),
    ],
)
def test_a_wrong_request_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert status_of(["suspects", *arguments]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert message in line
    assert not (folder / "reviewed.txt").exists()
    assert not (folder / "tasks.jsonl").exists()
