"""Counts by document and by sentence have the same totals."""

import numpy as np
import pytest
from tagging import counted, cut, paired, random_sentences

from nerbench.tasks.scoring.counts import count_both_ways
from nerbench.tasks.statistics import resampling

GOLD, PREDICTED = random_sentences(3, 30)
DOCUMENTS = [n // 4 for n in range(30)]


@pytest.mark.parametrize("firsts", [[], [4, 9, 20]])
def test_sentences_know_their_document(firsts: list[int]) -> None:
    parts = cut(paired(GOLD, PREDICTED, DOCUMENTS), firsts)
    every = count_both_ways(lambda: parts)
    half = len(every) // 2
    by_document, by_sentence = every[:half], every[half:]
    alone = counted(GOLD, PREDICTED)
    for one, other in zip(by_document, by_sentence, strict=True):
        assert (one.level, one.mode, one.slice, one.documents) == (other.level, other.mode, other.slice, None)
        assert (one.units.kind, other.units.kind) == ("document", "sentence")
        assert other.documents is not None
        assert other.documents.tolist() == DOCUMENTS
        assert np.array_equal(other.values, alone[other.mode].values)
        sums = np.zeros_like(one.values)
        np.add.at(sums, other.documents, other.values)
        assert np.array_equal(sums, one.values)


def test_units_of_sentences_are_in_the_document_of_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "MAX_UNITS", 10)
    every = count_both_ways(lambda: [paired(GOLD, PREDICTED, DOCUMENTS)])
    documents = every[-1].documents
    assert documents is not None
    assert documents.tolist() == [0, 0, 1, 2, 3, 3, 4, 5, 6, 6]


def test_without_documents_there_are_sentences_alone() -> None:
    every = count_both_ways(lambda: [paired(GOLD, PREDICTED)])
    assert [one.documents for one in every] == [None] * len(every)
    assert {one.units.kind for one in every} == {"sentence"}
    assert len({(one.mode, one.slice) for one in every}) == len(every)
