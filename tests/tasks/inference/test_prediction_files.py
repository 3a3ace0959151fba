from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.prediction_files import SCHEMA, Positions, PredictionsDigest, batch, digest_of, positions


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
