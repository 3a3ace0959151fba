"""Words with their tags: units, boundaries, and the parts of a corpus."""

from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagging import TYPES, Sentences, annotated, paired

from nerbench.tasks.data import arrow_cache
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_corpus, from_tags
from nerbench.tasks.statistics.resampling import MAX_UNITS


def test_units_of_words() -> None:
    n = 2 * MAX_UNITS + 1
    words = from_tags(["O"] * n, ["O"] * n, types=TYPES, sentences=range(n))
    assert words.units == ("sentence", 3, -(-n // 3), None)
    assert words.unit_of.tolist() == [number // 3 for number in range(n)]


def test_numbers_may_be_any_that_change() -> None:
    words = from_tags(["O"] * 4, ["O"] * 4, types=TYPES, sentences=[7, 7, 3, 7], documents=[5, 5, 5, 9])
    assert words.sentence.tolist() == [0, 0, 1, 2]
    assert words.document is not None
    assert words.document.tolist() == words.unit_of.tolist() == [0, 0, 0, 1]
    assert words.sentence_starts.tolist() == [True, False, True, True]
    assert words.units == ("document", 1, 2, 2)


def test_a_new_document_begins_a_sentence() -> None:
    words = from_tags(["O"] * 2, ["O"] * 2, types=TYPES, sentences=[0, 0], documents=[0, 1])
    assert words.sentence.tolist() == [0, 1]


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="2 gold tags, 1 predicted ones, for 2 words"):
        from_tags(["O", "O"], ["O"], types=TYPES, sentences=[0, 0])
    corpus = Corpus(name="x", split="test", words=[["a"]], tags=[["O"]], documents=None)
    with pytest.raises(ValueError, match="2 predicted tags for 1 words"):
        next(from_corpus(corpus, pa.chunked_array([["O", "O"]]), types=TYPES))


def joined(parts: list[TaggedWords], name: str) -> list[int]:
    return list(chain.from_iterable(getattr(part, name).tolist() for part in parts))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(annotated(), st.integers(1, 4), st.booleans())
def test_parts_of_a_corpus(data: tuple[Sentences, Sentences, list[int]], size: int, with_documents: bool) -> None:
    gold, predicted, documents = data
    words = [[f"{n}.{i}" for i in range(len(tags))] for n, tags in enumerate(gold)]
    known = documents if with_documents else None
    tags = pa.chunked_array([pa.array(chain.from_iterable(predicted)).dictionary_encode()])
    scores = pa.chunked_array([[None, *np.linspace(0, 1, len(tags) - 1)]], pa.float32())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_cache, "CHUNK", size)
        corpus = Corpus(name="toy", split="test", words=words, tags=gold, documents=known)
        parts = list(from_corpus(corpus, tags, types=TYPES, scores=scores))
    whole = paired(gold, predicted, known)
    assert len(parts) == -(-len(gold) // size)
    for name in ("gold", "predicted", "sentence", "unit_of", "sentence_starts"):
        assert joined(parts, name) == getattr(whole, name).tolist()
    assert all(part.units == whole.units for part in parts)
    assert [part.first_word for part in parts] == [sum(map(len, gold[:n])) for n in range(0, len(gold), size)]
    assert list(chain.from_iterable(part.text.to_pylist() for part in parts if part.text)) == list(
        chain.from_iterable(words)
    )
    read = [part.score if part.score is not None else np.array([np.nan]) for part in parts]
    np.testing.assert_array_equal(np.concatenate(read), scores.to_numpy())


def test_scores_are_none_if_all_are_unknown() -> None:
    corpus = Corpus(name="x", split="test", words=[["a"]], tags=[["O"]], documents=None)
    tags = pa.chunked_array([["O"]])
    (part,) = from_corpus(corpus, tags, types=TYPES, scores=pa.chunked_array([[None]], pa.float32()))
    assert part.score is None
