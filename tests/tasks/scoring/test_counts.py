"""Counts for each document and label, against the textbook and real data, and their way through a table."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from tagging import TYPES, Sentences, annotated, paired, random_sentences, textbook

from tasks.config import DatasetConfig
from tasks.corpora.corpus import Corpus, load_splits
from tasks.corpora.labels import tag_vocabulary
from tasks.scoring.counts import (
    Counts,
    count_all,
    count_entities,
    count_tokens,
    counts_from_table,
    counts_to_table,
    invalid_transitions,
    pair,
    pair_corpus,
)
from tasks.scoring.entities import MODES, Mode


def as_dict(numbers: np.ndarray, labels: tuple[str, ...]) -> dict[tuple[int, str], int]:
    return {(int(unit), labels[label]): int(numbers[unit, label]) for unit, label in np.argwhere(numbers)}


def assert_same(one: Counts, other: Counts) -> None:
    assert (one.level, one.mode, one.labels, one.unit) == (other.level, other.mode, other.labels, other.unit)
    for field in ("tp", "n_pred", "n_gold", "n_words"):
        assert getattr(one, field).tolist() == getattr(other, field).tolist()


@pytest.mark.parametrize("mode", MODES)
def test_entities_of_each_document_and_type(mode: Mode) -> None:
    for seed in range(20):
        gold, predicted = random_sentences(seed, 60)
        documents = [n // 7 for n in range(60)]
        counts = count_entities(paired(gold, predicted, documents), mode)
        in_gold, in_predicted = set(textbook(gold, mode)), set(textbook(predicted, mode))
        for field, entities in (("tp", in_gold & in_predicted), ("n_pred", in_predicted), ("n_gold", in_gold)):
            expected = Counter((documents[e.sentence], e.type) for e in entities)
            assert as_dict(getattr(counts, field), counts.labels) == expected
        assert counts.n_words.tolist() == [sum(map(len, gold[n : n + 7])) for n in range(0, 60, 7)]
        assert (counts.unit, counts.labels) == ("document", TYPES)


def test_tokens_of_each_document_and_tag() -> None:
    gold, predicted = random_sentences(1, 40)
    counts = count_tokens(paired(gold, predicted, [n // 3 for n in range(40)]))
    words = [(n // 3, g, p) for n, s in enumerate(gold) for g, p in zip(s, predicted[n], strict=True)]
    assert as_dict(counts.tp, counts.labels) == Counter((d, g) for d, g, p in words if g == p)
    assert as_dict(counts.n_pred, counts.labels) == Counter((d, p) for d, _, p in words)
    assert as_dict(counts.n_gold, counts.labels) == Counter((d, g) for d, g, _ in words)
    assert counts.labels == tuple(tag_vocabulary(TYPES))


def test_units_are_sentences_without_documents() -> None:
    gold, predicted = random_sentences(2, 9)
    counts = count_tokens(paired(gold, predicted))
    assert counts.unit == "sentence"
    assert counts.n_words.tolist() == [len(sentence) for sentence in gold]


def test_a_document_ends_an_entity_even_if_the_sentence_number_goes_on() -> None:
    tags = ["B-PER", "I-PER"]
    counts = count_entities(pair(tags, tags, types=TYPES, sentences=[0, 0], documents=[0, 1]), "conlleval")
    assert counts.n_gold[:, TYPES.index("PER")].tolist() == [1, 1]


def test_invalid_transitions_are_those_of_the_predictions() -> None:
    assert invalid_transitions(paired([["I-PER", "O"]], [["I-LOC", "I-PER"]])) == 2
    assert invalid_transitions(paired([["I-PER", "O"]], [["B-LOC", "I-LOC"]])) == 0


def test_corpora_are_paired_with_their_sentences_and_documents() -> None:
    words = [["a", "b"], ["c"], ["d"]]
    tags = [["B-PER", "I-PER"], ["B-PER"], ["O"]]
    corpus = Corpus(name="x", split="test", words=words, tags=tags, documents=[0, 0, 1])
    predicted = ["B-PER", "I-PER", "I-PER", "O"]
    expected = count_all(paired(tags, [["B-PER", "I-PER"], ["I-PER"], ["O"]], [0, 0, 1]))
    for column in (predicted, pa.chunked_array([predicted])):
        for one, other in zip(count_all(pair_corpus(corpus, column, types=TYPES)), expected, strict=True):
            assert_same(one, other)


def test_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="2 gold tags, 1 predicted ones, for 2 words"):
        pair(["O", "O"], ["O"], types=TYPES, sentences=[0, 0])


@pytest.mark.parametrize("documents", [None, [n // 4 for n in range(30)]])
def test_counts_survive_a_parquet_file(tmp_path: Path, documents: list[int] | None) -> None:
    counts = count_all(paired(*random_sentences(3, 30), documents))
    pq.write_table(counts_to_table(counts), tmp_path / "counts.parquet")
    for one, other in zip(counts_from_table(pq.read_table(tmp_path / "counts.parquet")), counts, strict=True):
        assert_same(one, other)


def test_counts_without_labels_are_no_table() -> None:
    with pytest.raises(ValueError, match="no entity types"):
        counts_to_table(count_all(pair(["O"], ["O"], types=[], sentences=[0])))


@settings(max_examples=60)
@given(annotated())
def test_perfect_predictions_are_all_right(example: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, _, documents = example
    for counts in count_all(paired(gold, gold, documents)):
        assert counts.tp.tolist() == counts.n_pred.tolist() == counts.n_gold.tolist()


@settings(max_examples=60)
@given(annotated(), annotated())
def test_counts_of_a_concatenation_are_those_of_its_parts(
    first: tuple[Sentences, Sentences, list[int]], second: tuple[Sentences, Sentences, list[int]]
) -> None:
    shifted = [number + first[2][-1] + 1 for number in second[2]]
    both = count_all(paired(first[0] + second[0], first[1] + second[1], first[2] + shifted))
    swapped = count_all(paired(second[0] + first[0], second[1] + first[1], shifted + first[2]))
    parts = zip(count_all(paired(*first)), count_all(paired(*second)), strict=True)
    for whole, other, (one, two) in zip(both, swapped, parts, strict=True):
        for field in ("tp", "n_pred", "n_gold"):
            total = getattr(whole, field).sum(axis=0).tolist()
            assert total == (getattr(one, field).sum(axis=0) + getattr(two, field).sum(axis=0)).tolist()
            assert total == getattr(other, field).sum(axis=0).tolist()


def test_support_of_conllpp(shared: Path) -> None:
    files = {"test": str(shared / "data/conllpp/test.txt")}
    corpus = load_splits(DatasetConfig.model_validate({"name": "conllpp", "files": files}))["test"]
    nothing = ["O"] * corpus.n_words
    strict, conlleval, token = count_all(pair_corpus(corpus, nothing, types=corpus.types))
    for counts in (strict, conlleval):
        support = dict(zip(counts.labels, counts.n_gold.sum(axis=0).tolist(), strict=True))
        assert support == {"LOC": 1646, "MISC": 723, "ORG": 1715, "PER": 1618}
        assert counts.n_gold.shape == (231, 4)
    assert token.n_words.sum() == 46435
    assert round(token.tp.sum() / 46435, 3) == 0.822  # the accuracy of a tagger that says O always
