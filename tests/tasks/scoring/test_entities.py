"""Entities out of tags, against the textbook."""

import numpy as np
import pyarrow as pa
import pytest
from tagging import TYPES, Sentences, paired, random_sentences, textbook

from tasks.corpora.labels import tag_vocabulary
from tasks.scoring.entities import Mode, encode, extract


def found(sentences: Sentences, mode: Mode) -> tuple[list[tuple[int, int, str]], int]:
    tags = paired(sentences, sentences)
    entities = extract(tags.gold, tags.sentence_starts, mode)
    spans = zip(entities.start.tolist(), entities.end.tolist(), entities.type.tolist(), strict=True)
    return [(start, end, TYPES[kind]) for start, end, kind in spans], entities.n_invalid


@pytest.mark.parametrize(
    ("tags", "conlleval", "strict", "n_invalid"),
    [
        ("O O", [], [], 0),
        ("B-PER I-PER", [(0, 2, "PER")], [(0, 2, "PER")], 0),
        ("O I-PER I-PER O", [(1, 3, "PER")], [], 1),
        ("B-PER B-PER I-PER", [(0, 1, "PER"), (1, 3, "PER")], [(0, 1, "PER"), (1, 3, "PER")], 0),
        ("B-PER I-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC")], [(0, 1, "PER")], 1),
        ("I-PER B-PER", [(0, 1, "PER"), (1, 2, "PER")], [(1, 2, "PER")], 1),
        ("B-PER/I-PER", [(0, 1, "PER"), (1, 2, "PER")], [(0, 1, "PER")], 1),
        ("I-LOC I-PER/I-PER", [(0, 1, "LOC"), (1, 2, "PER"), (2, 3, "PER")], [], 3),
    ],
)
def test_by_hand(
    tags: str, conlleval: list[tuple[int, int, str]], strict: list[tuple[int, int, str]], n_invalid: int
) -> None:
    sentences = [sentence.split() for sentence in tags.split("/")]
    assert found(sentences, "conlleval") == (conlleval, n_invalid)
    assert found(sentences, "strict") == (strict, n_invalid)


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_thousands_of_random_sentences(mode: Mode) -> None:
    for seed in range(30):
        for sentences in random_sentences(seed, 100):
            starts = np.cumsum([0, *map(len, sentences)])
            expected = [
                (starts[e.sentence] + e.start, starts[e.sentence] + e.end, e.type) for e in textbook(sentences, mode)
            ]
            assert found(sentences, mode)[0] == expected


def test_no_words() -> None:
    assert found([], "conlleval") == ([], 0)


@pytest.mark.parametrize(
    "column",
    [
        ["O", "I-B", "B-A"],
        pa.array(["O", "I-B", "B-A"]),
        pa.array(["O", "I-B", "B-A"]).dictionary_encode(),
        pa.chunked_array([["O"], ["I-B", "B-A"]]),
        pa.chunked_array([pa.array(["O"]).dictionary_encode(), pa.array(["I-B", "B-A"]).dictionary_encode()]),
        pa.array(["x", "O", "I-B", "B-A"])[1:],
        iter(["O", "I-B", "B-A"]),
    ],
)
def test_codes_of_lists_and_columns(column: pa.Array) -> None:
    assert encode(column, ["A", "B"]).tolist() == [0, 4, 1]
    assert tag_vocabulary(["A", "B"])[4] == "I-B"


def test_codes_of_an_empty_column() -> None:
    assert encode(pa.chunked_array([], pa.string()), ["A"]).tolist() == []


@pytest.mark.parametrize("column", [["O", "B-C"], pa.array(["O", "B-C"]), pa.array(["O", None])])
def test_tags_of_other_types_are_an_error(column: pa.Array) -> None:
    with pytest.raises(ValueError, match=r"'B-C' is not among O, B-A, I-A, B-B, I-B|1 tags are null"):
        encode(column, ["A", "B"])
