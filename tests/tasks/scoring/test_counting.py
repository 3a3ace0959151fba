"""Counts and tags of a corpus do not depend on the parts that it is worked on in."""

from itertools import chain

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagging import TYPES, Sentences, annotated

from tasks.corpora import columns
from tasks.corpora.corpus import Corpus
from tasks.scoring.counts import concatenate, count_all, counts_to_table, pair_corpus


@given(annotated(), st.integers(1, 4), st.booleans())
def test_counts_of_parts_add_up(data: tuple[Sentences, Sentences, list[int]], size: int, with_documents: bool) -> None:
    gold, predicted, documents = data
    words = [["w"] * len(tags) for tags in gold]
    corpus = Corpus(name="toy", split="test", words=words, tags=gold, documents=documents if with_documents else None)
    tags = pa.array(chain.from_iterable(predicted)).dictionary_encode()
    whole = count_all(pair_corpus(corpus, tags, types=TYPES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "CHUNK", size)
        parts = list(corpus.parts())
    assert [len(part.words) for part in parts[:-1]] == [size] * (len(parts) - 1)
    ends = [sum(part.n_words for part in parts[: n + 1]) for n in range(len(parts))]
    counts = [
        count_all(pair_corpus(part, tags[end - part.n_words : end], types=TYPES))
        for part, end in zip(parts, ends, strict=True)
    ]
    firsts = [documents[n * size] for n in range(len(parts))]
    shares = [with_documents and n > 0 and documents[n * size - 1] == first for n, first in enumerate(firsts)]
    assert counts_to_table(concatenate(counts, shares)).equals(counts_to_table(whole))
    starts = [start for part in parts for start in part.sentence_starts.tolist()]
    assert starts == corpus.sentence_starts.tolist() == [n == 0 for tags in gold for n, _ in enumerate(tags)]
