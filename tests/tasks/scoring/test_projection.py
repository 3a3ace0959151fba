"""Scores against an annotation with other words: those of words where only the words differ, and those of a naive
scorer of character offsets everywhere."""

from collections import Counter
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagging import EVERY_MODE, TYPES, Sentences, counted, one_to_one, textbook, totals

from nerbench.tasks.data import alignment
from nerbench.tasks.data.alignment import align_annotation
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.counts import Counts, count
from nerbench.tasks.scoring.entities import encode
from nerbench.tasks.scoring.score_predictions import project
from nerbench.tasks.scoring.tagged_words import from_corpus

KINDS = TYPES[:2]


class Span(NamedTuple):
    start: int
    end: int
    type: str


class Answer(NamedTuple):
    gold: Span
    predicted: Span


class Case(NamedTuple):
    words: Sentences
    predicted: Sentences
    annotated: Sentences
    gold: list[Span]
    """In characters of the annotation."""


def tags_of(words: Sentences, spans: list[Span]) -> Sentences:
    """IOB2 tags of spans that begin and end with words."""
    begins = {span.start: span.type for span in spans}
    inside = {at: span.type for span in spans for at in range(span.start + 1, span.end)}
    starts = iter(accumulate((len(word) for word in chain(*words)), initial=0))
    return [[_tag(next(starts), begins, inside) for _ in sentence] for sentence in words]


def _tag(at: int, begins: dict[int, str], inside: dict[int, str]) -> str:
    return f"B-{begins[at]}" if at in begins else f"I-{inside[at]}" if at in inside else "O"


def predicted_spans(case: Case, mode: str) -> list[Span]:
    """Predicted entities in characters of the data set."""
    edges = [0, *accumulate(len(word) for word in chain(*case.words))]
    first = [0, *accumulate(len(sentence) for sentence in case.words)]
    found = []
    for one in textbook(case.predicted, mode):
        start, end = (first[one.sentence] + at for at in (one.start, one.end))
        found.append(Span(edges[start], edges[end], one.type))
    return found


def scored(case: Case) -> dict[str, Counts]:
    tags = tags_of(case.annotated, case.gold)
    found = align_annotation(case.words, None, case.annotated, tags)
    corpus = Corpus(name="gold", split="test", **found._asdict())
    starts = np.array([number == 0 for sentence in case.words for number, _ in enumerate(sentence)])
    codes = project(encode(chain(*case.predicted), KINDS), starts, found.alignment, corpus.sentence_starts)
    column = pa.chunked_array([pa.DictionaryArray.from_arrays(codes, tag_vocabulary(KINDS))])
    return {one.mode: one for one in count(from_corpus(corpus, column, types=KINDS), modes=EVERY_MODE)}


def cut(draw: st.DrawFn, text: str, keep: set[int] = frozenset()) -> list[str]:
    """A text in random words; positions in `keep` are always between words."""
    cuts = draw(st.sets(st.integers(0, len(text)), max_size=len(text)))
    return [text[a:b] for a, b in pairwise(sorted({0, len(text), *cuts, *keep})) if a < b]


def sentences(draw: st.DrawFn, words: list[str], whole: list[Span] = ()) -> Sentences:
    """Words in random sentences, of which none ends within a span."""
    found: Sentences = []
    at = 0
    for word in words:
        inside = any(span.start < at < span.end for span in whole)
        if not found or (not inside and draw(st.booleans())):
            found.append([])
        found[-1].append(word)
        at += len(word)
    return found


def spans(draw: st.DrawFn, length: int) -> list[Span]:
    edges = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    kinds = [draw(st.sampled_from(["O", *KINDS])) for _ in edges]
    return [Span(a, b, kind) for (a, b), kind in zip(pairwise(edges), kinds, strict=False) if kind != "O"]


@st.composite
def same_text(draw: st.DrawFn) -> Case:
    """Two tokenizations of one text, with entities at any characters and any predicted tags."""
    text = draw(st.text("abcd", min_size=1, max_size=24))
    words = sentences(draw, cut(draw, text))
    tag = st.sampled_from(tag_vocabulary(KINDS))
    predicted = [draw(st.lists(tag, min_size=len(s), max_size=len(s))) for s in words]
    gold = spans(draw, len(text))
    edges = {at for span in gold for at in span[:2]}
    return Case(words, predicted, sentences(draw, cut(draw, text, edges), gold), gold)


@given(same_text())
def test_scores_are_those_of_character_offsets(case: Case) -> None:
    found = scored(case)
    gold = case.gold
    for mode in ("strict", "conlleval"):
        predicted = predicted_spans(case, mode)
        if mode == "strict" and joined(case):
            predicted = predicted_spans(case, "conlleval")  # an I- that begins a joined sentence may be read as B-
            assert totals(found[mode], "n_pred").keys() <= Counter(one.type for one in predicted).keys()
            continue
        assert totals(found[mode], "n_pred") == Counter(one.type for one in predicted)
        assert totals(found[mode], "tp") == Counter(one.type for one in gold if one in predicted)
    assert all(found[mode].column("n_gold").sum() == len(gold) for mode in EVERY_MODE)
    if not joined(case):
        exact, paired, typed = inexact(gold, predicted_spans(case, "strict"))
        assert totals(found["span"], "tp").get("overall", 0) == exact
        assert found["partial"].column("tp").sum() == exact
        assert found["partial"].column("n_partial").sum() == paired - exact
        assert found["type"].column("tp").sum() == typed


def joined(case: Case) -> bool:
    """Whether an entity continues in the next sentence of the data set."""
    ends = [*accumulate(sum(map(len, sentence)) for sentence in case.words)]
    return any(span.start < end < span.end for span in case.gold for end in ends)


def inexact(gold: list[Span], predicted: list[Span]) -> tuple[int, int, int]:
    """Pairs with the same characters, most pairs that share characters, and most pairs of the same type."""
    possible = [Answer(a, b) for a in gold for b in predicted if max(a.start, b.start) < min(a.end, b.end)]
    choices = [*one_to_one(possible)]
    typed = max(sum(one.gold.type == one.predicted.type for one in chosen) for chosen in choices)
    return len({one[:2] for one in gold} & {one[:2] for one in predicted}), max(map(len, choices)), typed


@st.composite
def other_words(draw: st.DrawFn) -> tuple[Case, Sentences]:
    """Two tokenizations of one text, whose entities begin and end with words of the first; and its tags of these."""
    text = draw(st.text("abcd", min_size=1, max_size=24))
    flat = cut(draw, text)
    edges = [0, *accumulate(map(len, flat))]
    gold = [Span(edges[a], edges[b], kind) for a, b, kind in spans(draw, len(flat))]
    words = sentences(draw, flat, gold)
    tag = st.sampled_from(tag_vocabulary(KINDS))
    predicted = [draw(st.lists(tag, min_size=len(s), max_size=len(s))) for s in words]
    kept = {at for span in gold for at in span[:2]}
    return Case(words, predicted, sentences(draw, cut(draw, text, kept), gold), gold), tags_of(words, gold)


@given(other_words())
def test_another_tokenization_has_exactly_the_scores_of_words(made: tuple[Case, Sentences]) -> None:
    case, gold = made
    by_words = counted(gold, case.predicted)
    for mode, counts in scored(case).items():
        for column in ("tp", "n_partial", "n_pred", "n_gold", "n_invalid"):
            assert totals(counts, column) == totals(by_words[mode], column), (mode, column)


@st.composite
def other_text(draw: st.DrawFn) -> Case:
    """Texts in which each has words that the other lacks; no character occurs twice, so it is known which."""
    n = draw(st.integers(1, 20))
    characters = [chr(0x4E00 + at) for at in range(n)]
    where = [draw(st.sampled_from(["both", "both", "ours", "theirs"])) for _ in range(n)]
    ours, theirs = (
        [c for c, here in zip(characters, where, strict=True) if here in ("both", side)] for side in ("ours", "theirs")
    )
    gold = spans(draw, len(theirs))
    tag = st.sampled_from(["O", *(f"B-{kind}" for kind in KINDS)])
    predicted = draw(st.lists(tag, min_size=len(ours), max_size=len(ours)))
    predicted = [_continued(draw, before, one) for before, one in pairwise(["O", *predicted])]
    return Case([ours] if ours else [], [predicted], sentences(draw, theirs, gold), gold)


def _continued(draw: st.DrawFn, before: str, tag: str) -> str:
    return f"I-{before[2:]}" if before != "O" and draw(st.booleans()) else tag


def aligned(entity: str, text: str) -> frozenset[str]:
    """The characters of an entity in a text if they are half of it, and half of the passage; otherwise none."""
    common = [character for character in text if character in entity]
    passage = text.index(common[-1]) - text.index(common[0]) + 1 if common else 0
    return frozenset(common if 2 * len(common) >= max(len(entity), passage) else "")


@given(other_text())
def test_entities_are_compared_on_the_characters_that_both_texts_have(case: Case) -> None:
    ours, theirs = "".join(chain(*case.words)), "".join(chain(*case.annotated))
    if not {*ours} & {*theirs}:
        return
    with pytest.MonkeyPatch.context() as patch:  # however little they have in common
        patch.setattr(alignment, "LEAST_COMMON", 0.0)
        patch.setattr(alignment, "LEAST_ALIKE", 0.0)
        found = scored(case)["conlleval"]
    gold = [(aligned(theirs[one.start : one.end], ours), one.type) for one in case.gold]
    predicted = [
        (frozenset(ours[one.start : one.end]) & {*theirs}, one.type) for one in predicted_spans(case, "conlleval")
    ]
    assert totals(found, "n_gold") == Counter(kind for _, kind in gold)
    assert totals(found, "n_pred") == Counter(kind for common, kind in predicted if common)
    assert totals(found, "tp") == Counter(one[1] for one in gold if one[0] and one in predicted)
