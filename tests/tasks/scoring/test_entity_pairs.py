"""Pairs of overlapping entities, against all possible pairings and against an assignment solver."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagging import one_to_one

from nerbench.tasks.scoring.entities import Entities
from nerbench.tasks.scoring.entity_pairs import Preference, pair_entities


class Span(NamedTuple):
    start: int
    end: int
    type: int


class Overlap(NamedTuple):
    first_word: int
    gold: int
    predicted: int
    n_words: int
    same_type: bool


def entities(spans: list[Span]) -> Entities:
    columns = np.array(spans, np.int64).reshape(-1, 3).T
    return Entities(*columns, 0)


def overlaps(gold: list[Span], predicted: list[Span]) -> list[Overlap]:
    """The overlaps in the order of the text."""
    found = []
    for i, ours in enumerate(gold):
        for j, theirs in enumerate(predicted):
            shared = sorted(set(range(ours.start, ours.end)) & set(range(theirs.start, theirs.end)))
            if shared:
                found.append(Overlap(shared[0], i, j, len(shared), ours.type == theirs.type))
    return sorted(found)


def worth(chosen: list[Overlap], possible: list[Overlap], prefer: Preference) -> tuple[int, int, int, list[bool]]:
    same_type, n_words = sum(one.same_type for one in chosen), sum(one.n_words for one in chosen)
    counted = (len(chosen), same_type) if prefer == "span" else (same_type, len(chosen))
    return (*counted, n_words, [one in chosen for one in possible])


def found(gold: list[Span], predicted: list[Span], prefer: Preference) -> list[tuple[int, int]]:
    pairs = pair_entities(entities(gold), entities(predicted), prefer=prefer)
    return list(zip(pairs.gold.tolist(), pairs.predicted.tolist(), strict=True))


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Up to eight entities of two types in a few words, most of them adjacent."""
    result, position = [], 0
    for _ in range(draw(st.integers(0, 8))):
        start = position + draw(st.sampled_from([0, 0, 0, 1]))
        position = start + draw(st.integers(1, 4))
        result.append(Span(start, position, draw(st.integers(0, 1))))
    return result


@pytest.mark.parametrize("prefer", ["span", "type"])
@settings(max_examples=300, derandomize=True, deadline=None)
@given(gold=spans(), predicted=spans())
def test_the_best_of_all_pairings(prefer: Preference, gold: list[Span], predicted: list[Span]) -> None:
    possible = overlaps(gold, predicted)
    best = max(one_to_one(possible), key=lambda chosen: worth(chosen, possible, prefer))
    assert found(gold, predicted, prefer) == sorted((one.gold, one.predicted) for one in best)


@pytest.mark.parametrize("prefer", ["span", "type"])
def test_long_sentences_against_an_assignment_solver(prefer: Preference) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(5)
    for _ in range(5):
        gold, predicted = (
            [Span(start, end, int(rng.integers(3))) for start, end in pairwise(cuts)]
            for cuts in (sorted(rng.choice(400, 150, replace=False).tolist()) for _ in range(2))
        )
        possible = overlaps(gold, predicted)
        value = np.zeros((len(gold), len(predicted)))
        for one in possible:
            many, few = (1, one.same_type) if prefer == "span" else (one.same_type, 1)
            value[one.gold, one.predicted] = (many * 1000 + few) * 1000 + one.n_words
        best = value[optimize.linear_sum_assignment(value, maximize=True)].sum()
        pairs = found(gold, predicted, prefer)
        assert sum(value[pair] for pair in pairs) == best
        assert len(set(dict(pairs).values())) == len(pairs)


@pytest.mark.parametrize(
    ("gold", "predicted", "span", "type_"),
    [
        ([(0, 2, 0)], [(0, 2, 1)], [(0, 0)], [(0, 0)]),
        ([(0, 2, 0)], [(2, 4, 0)], [], []),
        # Two pairs, none of the same type, or one that is.
        ([(0, 2, 0), (2, 4, 1)], [(0, 1, 1), (1, 3, 0)], [(0, 0), (1, 1)], [(0, 1)]),
        # The same type before more shared words, and these before the left.
        ([(0, 5, 0)], [(0, 3, 1), (3, 5, 0)], [(0, 1)], [(0, 1)]),
        ([(0, 5, 0)], [(0, 2, 0), (2, 5, 0)], [(0, 1)], [(0, 1)]),
        ([(0, 4, 0)], [(0, 2, 0), (2, 4, 0)], [(0, 0)], [(0, 0)]),
        ([], [(0, 1, 0)], [], []),
    ],
)
def test_by_hand(
    gold: list[tuple[int, int, int]],
    predicted: list[tuple[int, int, int]],
    span: list[tuple[int, int]],
    type_: list[tuple[int, int]],
) -> None:
    ours, theirs = ([Span(*one) for one in spans] for spans in (gold, predicted))
    assert found(ours, theirs, "span") == span
    assert found(ours, theirs, "type") == type_


@pytest.mark.parametrize("prefer", ["span", "type"])
def test_a_chain_through_ten_thousand_words(prefer: Preference) -> None:
    gold = [Span(start, start + 2, 0) for start in range(0, 10_000, 2)]
    predicted = [Span(start, start + 2, 0) for start in range(1, 9_999, 2)]
    # One gold entity is left over, and each of them could be: the leftmost pairs leave the last.
    assert found(gold, predicted, prefer) == [(n, n) for n in range(4999)]


@pytest.mark.parametrize("prefer", ["span", "type"])
def test_one_entity_over_ten_thousand_others(prefer: Preference) -> None:
    others = [Span(start, start + 1, int(start != 7_777)) for start in range(10_000)]
    assert found([Span(0, 10_000, 0)], others, prefer) == [(0, 7_777)]
    assert found(others, [Span(0, 10_000, 0)], prefer) == [(7_777, 0)]
