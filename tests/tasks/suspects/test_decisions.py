"""Suspects go to annotation tools and come back as another annotation."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from annotations import corpus_of

from nerbench.artifacts.errors import CorpusError, CorruptArtifactError
from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import load_gold
from nerbench.tasks.suspects.decisions import conll_lines, read_decisions
from nerbench.tasks.suspects.exports import Tool, export, tasks_of

LINES = ["Ajax|B-LOC beat|O Porto|B-ORG", "Anna|B-PER Berg|I-PER left|O", "van|O Basten|B-PER won|O"]
CORPUS = corpus_of(LINES, [0, 0, 1])
CORRECTED = [["B-ORG", "O", "B-ORG"], ["B-PER", "I-PER", "O"], ["B-PER", "I-PER", "O"]]


def row(sentence: int, score: float, proposed: tuple[int, int, str], region: tuple[int, int]) -> dict[str, Any]:
    columns = {f"proposed_{name}": [value] for name, value in zip(("start", "end", "label"), proposed, strict=True)}
    gold = {f"gold_{name}": [] for name in ("start", "end", "label")}
    counts = {f"{scope}_{side}": 2 for scope in ("document", "split", "train") for side in ("gold", "proposed")}
    about = {"models": ["m"], "seeds": [3], "opinions": ["proposal"], "confidences": [0.9]}
    words = CORPUS.words[sentence]
    texts = {"text": " ".join(words[slice(*region)]), "sentence_text": " ".join(words)}
    place = {"sentence": sentence, "score": score, "start": region[0], "end": region[1]}
    return place | columns | gold | counts | about | texts


ROWS = [row(2, 2.0, (0, 2, "PER"), (0, 2)), row(0, 1.0, (0, 1, "ORG"), (0, 1))]


def exported(tool: Tool) -> list[dict[str, Any]]:
    data = b"".join(export(tasks_of(ROWS, CORPUS), tool))
    return json.loads(data) if tool == "label-studio" else [json.loads(line) for line in data.splitlines()]  # type: ignore[no-any-return]


def reviewed(tool: Tool, task: dict[str, Any]) -> dict[str, Any]:
    """The task as the tool exports it if the annotator accepts what is proposed."""
    if tool == "prodigy":
        return task | {"answer": "accept", "_input_hash": 1}
    if tool == "doccano":
        return task | {"id": 7, "Comments": []}
    (prediction,) = task.pop("predictions")
    return task | {"id": 7, "annotations": [{"result": prediction["result"], "was_cancelled": False}]}


def write(path: Path, tasks: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks))
    return str(path)


@pytest.mark.parametrize(
    ("sentence", "proposed"),
    [(None, (0, 1, "PER")), (3, (0, 1, "PER")), (-1, (0, 1, "PER")), (2, (0, 4, "PER"))],
    ids=str,
)
def test_a_suspect_outside_the_corpus_is_refused(sentence: int | None, proposed: tuple[int, int, str]) -> None:
    broken = row(2, 2.0, proposed, (0, 2)) | {"sentence": sentence, "position": 1}
    with pytest.raises(CorruptArtifactError, match=r"suspect 1 of .* is not in its words; rank again"):
        list(tasks_of([broken], CORPUS))


@pytest.mark.parametrize("tool", get_args(Tool))
def test_accepted_corrections_come_back_as_a_gold(tool: Tool, tmp_path: Path) -> None:
    tasks = exported(tool)
    assert len(tasks) == 2
    file = write(tmp_path / "decided.jsonl", [reviewed(tool, task) for task in tasks])
    decisions = read_decisions(file, CORPUS)
    assert (set(decisions.tags), decisions.n_open) == ({0, 2}, 0)
    gold = tmp_path / "gold.txt"
    gold.write_text("".join(conll_lines(CORPUS, decisions, " ")))
    assert gold.read_text().startswith("-DOCSTART- O\n\nAjax B-ORG\nbeat O\n")
    assert gold.read_text().count("-DOCSTART-") == 2
    dataset = DatasetConfig(name="own", files={"test": "unused"})
    found = load_gold(GoldConfig(name="reviewed", dataset="own", file=str(gold)), dataset, CORPUS)
    assert list(found.tags) == CORRECTED
    assert found.words_sha256 == CORPUS.words_sha256


@pytest.mark.parametrize("tool", get_args(Tool))
def test_rejected_and_open_tasks_change_no_tag(tool: Tool, tmp_path: Path) -> None:
    tasks = exported(tool)
    if tool == "prodigy":
        left = [task | {"answer": answer} for task, answer in zip(tasks, ("reject", "ignore"), strict=True)]
    elif tool == "label-studio":
        left = [reviewed(tool, tasks[0]), tasks[1] | {"annotations": []}]
        left[0]["annotations"][0]["was_cancelled"] = True
    else:
        left = []
    decisions = read_decisions(write(tmp_path / "decided.jsonl", left), CORPUS)
    assert (dict(decisions.tags), decisions.n_open) == ({}, len(left))
    assert "".join(conll_lines(CORPUS, decisions, "\t")).splitlines()[2] == "Ajax\tB-LOC"


def test_an_annotator_can_decide_otherwise(tmp_path: Path) -> None:
    task = exported("doccano")[0] | {"label": [[0, 3, "MISC"]]}
    decisions = read_decisions(write(tmp_path / "decided.jsonl", [task]), CORPUS)
    assert dict(decisions.tags) == {2: ["B-MISC", "O", "O"]}


def test_tasks_have_their_evidence(tmp_path: Path) -> None:
    tasks = exported("prodigy")
    assert [task["sentence"] for task in tasks] == [2, 0]
    assert tasks[0]["tokens"][1] == {"text": "Basten", "start": 4, "end": 10, "id": 1, "ws": True}
    assert tasks[0]["spans"] == [{"start": 0, "end": 10, "token_start": 0, "token_end": 1, "label": "PER"}]
    assert "the only model predicts it: m (seed 3) 0.90" in tasks[0]["meta"]["suspects"]
    assert "in train: 2 as proposed, 2 as here" in tasks[0]["meta"]["suspects"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sentence": None}, "there is no sentence None"),
        ({"sentence": 3}, "there is no sentence 3 in own"),
        ({"sentence": True}, "there is no sentence True"),
        ({"sentence": 1}, "its text is not that of sentence 1 of own"),
        ({"words_sha256": "0" * 64}, "is about other words than own, test"),
        ({"label": [[0, 2, "PER"]]}, "1 of 1 spans cut a word"),
        ({"label": [[0, 10, "PER"], [4, 10, "ORG"]]}, "overlap another one"),
        ({"label": [[0, 99, "PER"]]}, "lies outside of the text"),
        ({"label": "PER"}, "is not a list of spans"),
    ],
)
def test_wrong_decisions_are_refused(changes: dict[str, Any], problem: str, tmp_path: Path) -> None:
    file = write(tmp_path / "decided.jsonl", [exported("doccano")[0] | changes])
    with pytest.raises(CorpusError, match=problem):
        read_decisions(file, CORPUS)


def test_two_decisions_on_one_sentence_are_refused(tmp_path: Path) -> None:
    task = exported("doccano")[0]
    assert len(read_decisions(write(tmp_path / "same.jsonl", [task, task]), CORPUS).tags) == 1
    with pytest.raises(CorpusError, match="an earlier task decides differently on sentence 2"):
        read_decisions(write(tmp_path / "other.jsonl", [task, task | {"label": []}]), CORPUS)


def test_a_word_with_white_space_cannot_be_written(tmp_path: Path) -> None:
    corpus = corpus_of(["Oslo|B-LOC"])
    corpus.words[0][0] = "New York"
    decisions = read_decisions(write(tmp_path / "none.jsonl", []), corpus)
    with pytest.raises(CorpusError, match="'New York' of sentence 0 has white space"):
        list(conll_lines(corpus, decisions, " "))
