from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference import prediction
from nerbench.tasks.inference.prediction_files import (
    SCHEMA,
    Positions,
    PredictionsDigest,
    batch,
    digest_of,
    equal_shares,
    positions,
)


class Rows(NamedTuple):
    document: np.ndarray
    sentence: np.ndarray
    word: np.ndarray
    tags: list[str]

    def cut(self, start: int, stop: int) -> "Rows":
        return Rows(*(column[start:stop] for column in self))


def some_rows(n: int = 30) -> Rows:
    numbers = np.arange(n, dtype=np.int32)
    return Rows(numbers // 9, numbers // 4, numbers, [("O", "B-PER", "I-PER")[i % 3] for i in range(n)])


def digest(*parts: Rows) -> str:
    whole = PredictionsDigest()
    for part in parts:
        whole.update(*part)
    return whole.hexdigest()


@given(st.lists(st.integers(0, 30), max_size=6).map(sorted))
def test_the_digest_does_not_depend_on_the_parts(cuts: list[int]) -> None:
    rows, edges = some_rows(), [0, *cuts, 30]
    assert digest(*(rows.cut(a, b) for a, b in pairwise(edges))) == digest(rows)


def test_the_digest_does_not_depend_on_the_integers_width() -> None:
    rows = some_rows()
    assert digest(rows._replace(word=rows.word.astype(np.int64), document=rows.document.astype(">i4"))) == digest(rows)


@pytest.mark.parametrize("column", ["document", "sentence", "word"])
def test_the_digest_covers_every_position(column: str) -> None:
    rows = some_rows()
    changed = getattr(rows, column).copy()
    changed[17] += 1
    assert digest(rows._replace(**{column: changed})) != digest(rows)


def test_the_digest_covers_tags_and_their_borders() -> None:
    rows = some_rows(2)
    assert digest(rows._replace(tags=["O", "I-PER"])) != digest(rows)
    assert digest(rows._replace(tags=["B-X", "B"])) != digest(rows._replace(tags=["B-XB", ""]))


@pytest.mark.parametrize("sentences", [1, 2, 100])
def test_positions_count_words_over_the_split(sentences: int) -> None:
    corpus = Corpus(
        name="own", split="test", words=[["a", "b"], ["c"], ["d"]], tags=[["O", "O"], ["O"], ["O"]], documents=[0, 0, 1]
    )
    runs = list(positions(corpus, sentences))
    whole = [np.concatenate(columns).tolist() for columns in zip(*runs, strict=True)]
    assert whole == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3]]


def test_the_digest_of_a_corpus_is_that_of_its_rows() -> None:
    corpus = Corpus(name="own", split="test", words=[["a", "b"], ["c"]], tags=[["O", "O"], ["O"]], documents=None)
    rows = Rows(np.full(3, -1), np.array([0, 0, 1]), np.arange(3), ["O", "B-X", "O"])
    assert digest_of(corpus, pa.array(rows.tags).dictionary_encode()) == digest(rows)


def test_missing_values_are_nulls() -> None:
    rows = Positions(*(np.array(column, dtype=np.int32) for column in ([-1, -1], [0, 0], [0, 1])))
    made = batch(rows, ["B-X", "O"], np.array([0, 1]), np.array([0.5, np.nan], dtype=np.float32))
    assert made.schema == SCHEMA
    assert made.to_pylist() == [
        {"document": None, "sentence": 0, "word": 0, "pred": "B-X", "score": 0.5},
        {"document": None, "sentence": 0, "word": 1, "pred": "O", "score": None},
    ]


def corpus_of(lengths: list[int]) -> Corpus:
    words = [["word"] * length for length in lengths]
    return Corpus(name="toy", split="test", words=words, tags=words, documents=None)


@pytest.mark.parametrize(
    ("lengths", "n", "shares"),
    [
        ([1] * 8, 2, [(0, 2), (2, 4)]),
        ([1] * 9, 2, [(0, 2), (2, 5)]),  # the last block is small, so the second half gets one more
        ([6, 6, 1, 1, 1, 1, 1, 1], 2, [(0, 1), (1, 4)]),  # the first two sentences have most of the words
        ([1, 1], 2, [(0, 0), (0, 1)]),
    ],
)
def test_processes_get_equal_numbers_of_words(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], n: int, shares: list[tuple[int, int]]
) -> None:
    monkeypatch.setattr(prediction, "BLOCK", 2)
    corpus = corpus_of(lengths)
    found = equal_shares(corpus, range(-(-len(lengths) // 2)), n)
    assert [(share.start, share.stop) for share in found] == shares


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 5), st.data())
def test_shares_are_all_blocks_in_order(lengths: list[int], n: int, data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prediction, "BLOCK", 3)
        blocks = -(-len(lengths) // 3)
        start = data.draw(st.integers(0, blocks))
        found = equal_shares(corpus_of(lengths), range(start, blocks), n)
    assert len(found) == n
    assert [block for share in found for block in share] == [*range(start, blocks)]
