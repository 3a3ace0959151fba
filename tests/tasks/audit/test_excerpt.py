"""The part of a corpus that an audit uses."""

import json
from pathlib import Path

import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.audit.copies import LEAST, MOST, UNITS, enough, write_excerpt
from nerbench.tasks.data.corpus import Corpus


def corpus(n: int, *, tags: list[str], per_document: int | None) -> Corpus:
    documents = None if per_document is None else [number // per_document for number in range(n)]
    return Corpus(
        name="own", split="test", words=[["a b", "ü"]] * n, tags=[tags] * n, documents=documents
    )  # a word may hold a blank


@pytest.mark.parametrize(
    ("n", "tags", "per_document", "expected"),
    [
        (5000, ["B-PER", "O"], None, LEAST),
        (5000, ["B-PER", "O"], 10, LEAST),
        (5000, ["B-PER", "O"], 100, 100 * (UNITS - 1) + 1),
        (5000, ["B-PER", "O"], 1000, MOST),
        (5000, ["O", "O"], None, MOST),
        (40, ["B-PER", "O"], None, 40),
    ],
)
def test_an_excerpt_is_large_enough_for_an_interval(
    n: int, tags: list[str], per_document: int | None, expected: int
) -> None:
    assert enough(corpus(n, tags=tags, per_document=per_document)) == expected


@pytest.mark.parametrize("per_document", [None, 3])
def test_a_line_holds_a_sentence(per_document: int | None, tmp_path: Path) -> None:
    write_excerpt(corpus(4, tags=["B-PER", "O"], per_document=per_document), tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["tokens"] for line in lines] == [["a b", "ü"]] * 4
    assert [line["ner_tags"] for line in lines] == [["B-PER", "O"]] * 4
    assert [line.get("document") for line in lines] == ([None] * 4 if per_document is None else [0, 0, 0, 1])


def test_sentences_without_an_entity_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="hold no entity; audit with another split"):
        write_excerpt(corpus(4, tags=["O", "O"], per_document=None), tmp_path / "x.jsonl")
