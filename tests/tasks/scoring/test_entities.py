"""Entities from tags, against the textbook, seqeval and a word-by-word repair."""

import numpy as np
import pyarrow as pa
import pytest
from tagging import TYPES, Sentences, paired, random_sentences, textbook

from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.entities import Entities, Mode, encode, extract, identical


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
    assert found(sentences, "strict") == found(sentences, "discard") == (strict, n_invalid)


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_thousands_of_random_sentences(mode: Mode) -> None:
    for seed in range(30):
        for sentences in random_sentences(seed, 100):
            starts = np.cumsum([0, *map(len, sentences)])
            expected = [
                (starts[e.sentence] + e.start, starts[e.sentence] + e.end, e.type) for e in textbook(sentences, mode)
            ]
            assert found(sentences, mode)[0] == expected


def discarded(tags: list[str]) -> list[str]:
    """SeqScore's repair: a tag that may not follow the (repaired) previous tag becomes `O`."""
    repaired: list[str] = []
    for tag in tags:
        allowed = {f"{prefix}-{tag[2:]}" for prefix in "BI"}
        repaired.append("O" if tag[0] == "I" and (repaired or ["O"])[-1] not in allowed else tag)
    return repaired


def test_discard_against_the_repair_and_equal_to_strict() -> None:
    for seed in range(30):
        for sentences in random_sentences(seed, 100):
            repaired = [discarded(tags) for tags in sentences]
            assert found(sentences, "discard")[0] == found(repaired, "conlleval")[0] == found(sentences, "strict")[0]
            assert found(repaired, "discard")[1] == 0


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


def test_unused_dictionary_values_are_ignored() -> None:
    column = pa.DictionaryArray.from_arrays([0, 0], ["O", "B-C"])
    assert encode(column, ["A"]).tolist() == [0, 0]


def entities(*spans: tuple[int, int, int]) -> Entities:
    start, end, kind = np.array(spans, np.int64).reshape(-1, 3).T
    return Entities(start, end, kind, 0)


def test_identical_entities() -> None:
    gold = entities((0, 1, 0), (1, 3, 1), (4, 5, 0), (6, 7, 1))
    predicted = entities((1, 3, 1), (4, 6, 0), (6, 7, 0))
    assert identical(gold, predicted, 7).tolist() == [-1, 0, -1, -1]
    assert identical(gold, gold, 7).tolist() == [0, 1, 2, 3]
    assert identical(gold, entities(), 7).tolist() == [-1] * 4
    assert identical(entities(), gold, 7).tolist() == []


def test_some_entities() -> None:
    some = entities((0, 1, 0), (1, 3, 1)).at(np.array([False, True]))
    assert (some.start.tolist(), some.end.tolist(), some.type.tolist()) == ([1], [3], [1])


def test_codes_of_an_empty_column() -> None:
    assert encode(pa.chunked_array([], pa.string()), ["A"]).tolist() == []


@pytest.mark.parametrize("column", [["O", "B-C"], pa.array(["O", "B-C"]), pa.array(["O", None])])
def test_tags_of_other_types_are_an_error(column: pa.Array) -> None:
    with pytest.raises(ValueError, match=r"'B-C' is not among O, B-A, I-A, B-B, I-B|1 tags are null"):
        encode(column, ["A", "B"])
