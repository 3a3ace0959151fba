"""Counts of every unit and label add up over parts and slices, hold for odd corpora, and survive a table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagging import EVERY_MODE, TYPES, Sentences, annotated, counted, cut, paired, random_sentences, totals

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.config.schema_base import Mode
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.counts import COLUMNS, Counts, count, counts_from_table, counts_to_table
from nerbench.tasks.scoring.entities import MODES, Entities, Flags
from nerbench.tasks.scoring.slices import Slice
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_corpus, from_tags


def assert_same(one: Counts, other: Counts) -> None:
    names = ("level", "mode", "slice", "labels", "units")
    assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.n_words, other.n_words)


def test_counts_of_an_example() -> None:
    nothing = [Slice(name="none", mentions=lambda _, found: found.start < 0)]
    counts = count([paired(*random_sentences(0, 5))], nothing, EVERY_MODE)
    entity = ("strict", "conlleval", "discard", "exact", "partial", "type", "span")
    expected = [("entity", mode, "all") for mode in entity] + [("token", "tag", "all")]
    assert [(one.level, one.mode, one.slice) for one in counts] == expected + [("entity", m, "none") for m in MODES]
    labels = {one.mode: one.labels for one in counts}
    assert labels == dict.fromkeys(entity, TYPES) | {"span": ("overall",), "tag": tuple(tag_vocabulary(TYPES))}
    assert all(one.values.shape == (5, len(one.labels), len(COLUMNS)) for one in counts)


def test_modes_that_repeat_others_are_counted_on_request() -> None:
    def modes(*asked: Mode) -> list[tuple[str, str]]:
        halves = [Slice(name="first", mentions=in_first_half)]
        counts = count([paired(*random_sentences(0, 5))], halves, *([asked] if asked else []))
        return [(one.mode, one.slice) for one in counts]

    usual = [(mode, "all") for mode in ("strict", "conlleval", "exact", "partial", "type", "tag")]
    assert modes() == [*usual, ("strict", "first"), ("conlleval", "first")]
    assert modes("partial") == [("strict", "all"), ("partial", "all"), ("tag", "all"), ("strict", "first")]
    assert ("discard", "first") in modes("strict", "discard")


@settings(max_examples=60, derandomize=True, deadline=None)
@given(annotated())
def test_discard_is_strict_and_span_is_exact_overall(data: tuple[Sentences, Sentences, list[int]]) -> None:
    counts = counted(*data)
    np.testing.assert_array_equal(counts["discard"].values, counts["strict"].values)
    np.testing.assert_array_equal(counts["span"].values[..., :4].sum(1), counts["exact"].values[..., :4].sum(1))


def test_units_are_sentences_without_documents() -> None:
    gold, predicted = random_sentences(2, 9)
    counts = counted(gold, predicted)["tag"]
    assert counts.units == ("sentence", 1, 9, None)
    assert counts.n_words.tolist() == [len(sentence) for sentence in gold]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(annotated(), st.sets(st.integers(1, 5)), st.booleans())
def test_parts_cut_anywhere_give_the_same_counts(
    data: tuple[Sentences, Sentences, list[int]], firsts: set[int], with_documents: bool
) -> None:
    gold, predicted, documents = data
    whole = paired(gold, predicted, documents if with_documents else None)
    slices = [Slice(name="long", mentions=lambda _, found: found.end - found.start > 1)]
    in_parts = count(cut(whole, sorted(firsts)), slices)
    for one, other in zip(in_parts, count([whole], slices), strict=True):
        assert_same(one, other)


def test_units_of_several_sentences() -> None:
    gold, predicted = random_sentences(4, 50)
    words = paired(gold, predicted)
    grouped = replace(words, units=words.units._replace(size=7, n=8))
    for one, other in zip(count(cut(grouped, [3, 20, 21])), count([words]), strict=True):
        sums = [other.values[start : start + 7].sum(0) for start in range(0, 50, 7)]
        np.testing.assert_array_equal(one.values, sums)


def in_first_half(tagged: TaggedWords, entities: Entities) -> Flags:
    return tagged.sentence[entities.start] < 15


@pytest.mark.parametrize("mode", MODES)
def test_slices_partition_the_counts(mode: str) -> None:
    for seed in range(5):
        gold, predicted = random_sentences(seed, 30)
        halves = [
            Slice(name="first", mentions=in_first_half),
            Slice(name="second", mentions=lambda tagged, found: ~in_first_half(tagged, found)),
        ]
        counts = {one.slice: one for one in count([paired(gold, predicted)], halves, MODES) if one.mode == mode}
        np.testing.assert_array_equal(counts["first"].values + counts["second"].values, counts["all"].values)
        alone = counted(gold[:15], predicted[:15])[mode]
        np.testing.assert_array_equal(counts["first"].values[:15], alone.values)


def test_one_sentence_of_ten_thousand_words() -> None:
    gold = (["B-PER", "I-PER"] * 5_000)[:10_000]
    counts = counted([gold], [[*gold[1:], "O"]])
    assert totals(counts["strict"], "n_gold") == totals(counts["conlleval"], "n_gold") == {"PER": 5_000}
    assert counts["strict"].column("tp").sum() == 0
    assert totals(counts["partial"], "n_partial") == {"PER": 4_999}
    assert totals(counts["type"], "tp") == {"PER": 4_999}
    assert totals(counts["strict"], "n_invalid") == {"PER": 1}


def test_types_may_be_any_text() -> None:
    tags = ["B-人名", "I-人名", "B-LOC-deriv", "B-é"]
    words = from_tags(tags, [*tags[:3], "O"], types=["人名", "LOC-deriv", "é"], sentences=[0] * 4)
    strict = count([words])[0]
    assert totals(strict, "tp") == {"人名": 1, "LOC-deriv": 1}
    assert totals(strict, "n_gold") == {"人名": 1, "LOC-deriv": 1, "é": 1}


def test_labels_only_in_gold_or_predictions_and_no_labels() -> None:
    one_sided = counted([["B-PER", "O"]], [["O", "B-LOC"]])
    nothing = counted([["O", "O"]], [["O", "O"]])
    for mode in set(one_sided) - {"span", "tag"}:
        assert totals(one_sided[mode], "n_gold") == {"PER": 1}
        assert totals(one_sided[mode], "n_pred") == {"LOC": 1}
        assert totals(one_sided[mode], "tp") == totals(one_sided[mode], "n_partial") == {}
        assert not nothing[mode].values.any()
    assert totals(nothing["tag"], "tp") == {"O": 2}


@pytest.mark.parametrize("documents", [None, [n // 4 for n in range(30)]])
def test_counts_survive_a_parquet_file(tmp_path: Path, documents: list[int] | None) -> None:
    halves = [Slice(name="first", mentions=in_first_half)]
    counts = count([paired(*random_sentences(3, 30), documents)], halves)
    pq.write_table(counts_to_table(counts), tmp_path / "counts.parquet")
    for one, other in zip(counts_from_table(pq.read_table(tmp_path / "counts.parquet")), counts, strict=True):
        assert_same(one, other)


def test_counts_without_labels_survive_a_table() -> None:
    counts = count([from_tags(["O"], ["O"], types=[], sentences=[0])])
    assert counts[0].values.shape == (1, 0, 5)
    for one, other in zip(counts_from_table(counts_to_table(counts)), counts, strict=True):
        assert_same(one, other)


def test_no_words() -> None:
    assert not any(one.values.any() for one in count([from_tags([], [], types=TYPES, sentences=[])]))
    with pytest.raises(ValueError, match="no words to count"):
        count([])


def test_support_of_conllpp(shared: Path) -> None:
    files = {"test": str(shared / "data/conllpp/test.txt")}
    corpus = load_splits(DatasetConfig.model_validate({"name": "conllpp", "files": files}))["test"]
    nothing = pa.chunked_array([["O"] * corpus.n_words])
    counts = {one.mode: one for one in count(from_corpus(corpus, nothing, types=corpus.types), modes=EVERY_MODE)}
    token = counts.pop("tag")
    assert totals(counts.pop("span"), "n_gold") == {"overall": 5702}
    for one in counts.values():
        assert totals(one, "n_gold") == {"LOC": 1646, "MISC": 723, "ORG": 1715, "PER": 1618}
        assert one.values.shape == (231, 4, 5)
    assert token.n_words.sum() == 46435
    assert round(token.column("tp").sum() / 46435, 3) == 0.822  # the accuracy of a tagger that always predicts O
    sentences = np.array(corpus.documents), corpus.lengths
    assert token.n_words.tolist() == np.bincount(sentences[0], weights=sentences[1]).tolist()


def test_units_may_have_more_words_than_small_numbers_can_count() -> None:
    n = 70_000
    tags = ["B-LOC"] * n
    words = from_tags(tags, tags, types=["LOC"], sentences=np.arange(n) // 7, documents=np.zeros(n, np.int64))
    for one in count([words, replace(words, first_word=n)], modes=EVERY_MODE):
        at = one.labels.index("LOC") if "LOC" in one.labels else 0
        if one.level == "entity":
            assert one.column("tp")[:, at].tolist() == [2 * n], one.mode
