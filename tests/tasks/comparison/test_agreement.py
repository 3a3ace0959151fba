"""Agreement of models and their vote, against brute force and published examples."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagging import TYPES, Sentences, textbook

from nerbench.tasks.comparison.agreement import Ratings, agreement, best_choice_f1, fleiss_kappa
from nerbench.tasks.comparison.ensembles import majority
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.entities import encode

KINDS = TYPES[:2]


def ratings(gold: Sentences, *models: Sentences, scores: Any = None) -> Ratings:
    codes = [encode([tag for sentence in one for tag in sentence], KINDS) for one in (gold, *models)]
    predicted = np.stack(codes[1:])
    sentence = np.repeat(np.arange(len(gold)), [len(one) for one in gold])
    return Ratings(
        KINDS, codes[0], predicted, np.ones(predicted.shape) if scores is None else np.array(scores), sentence
    )


@st.composite
def rated(draw: st.DrawFn) -> list[Sentences]:
    """A gold and two to four models of the same words."""
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    tag = st.sampled_from(tag_vocabulary(KINDS))
    n = draw(st.integers(3, 5))
    return [[draw(st.lists(tag, min_size=k, max_size=k)) for k in lengths] for _ in range(n)]


def test_kappa_is_that_of_the_textbook() -> None:
    # Fleiss (1971) as in Wikipedia's example: 14 raters, 10 subjects, 5 categories
    table = """0 0 0 0 14|0 2 6 4 2|0 0 3 5 6|0 3 9 2 0|2 2 8 1 1|7 7 0 0 0|3 2 6 3 0|2 5 3 2 2|6 5 2 1 0|0 2 2 3 7"""
    votes = np.array([[int(n) for n in row.split()] for row in table.split("|")])
    assert fleiss_kappa(votes) == pytest.approx(0.210, abs=5e-4)
    assert fleiss_kappa(np.array([[2, 0], [2, 0]])) is None


@given(rated())
def test_agreement_is_that_of_sets_of_entities(made: list[Sentences]) -> None:
    gold, *models = made
    found = agreement(ratings(gold, *models))
    truth, *sets = ({*textbook(one, "strict")} for one in made)

    def f1(one: set[Any], other: set[Any]) -> float | None:
        return 2 * len(one & other) / (len(one) + len(other)) if one or other else None

    assert found.f1 == [pytest.approx(f1(truth, one)) for one in sets]
    assert {(one["a"], one["b"]): one["f1"] for one in found.pairs} == {
        (a, b): pytest.approx(f1(sets[a], sets[b])) for a in range(len(sets)) for b in range(a + 1, len(sets))
    }
    overall = found.labels[0]
    assert overall["support"] == len(truth)
    assert overall["any"] == (pytest.approx(len(truth & set.union(*sets)) / len(truth)) if truth else None)
    assert overall["all"] == (pytest.approx(len(truth & set.intersection(*sets)) / len(truth)) if truth else None)
    best = [
        f1(truth, {one for n, model in enumerate(choice) for one in sets[model] if one.sentence == n})
        for choice in product(range(len(sets)), repeat=len(gold))
    ]
    assert not truth or found.oracle_f1 == pytest.approx(max(one or 0 for one in best))


def test_the_best_choice_gives_up_an_entity_for_fewer_false_ones() -> None:
    tp, n_pred = np.array([[1, 1], [0, 1]]), np.array([[9, 1], [0, 1]])
    assert best_choice_f1(tp, n_pred, 2) == pytest.approx(2 / 3)


@given(rated())
def test_the_majority_has_the_entities_that_more_than_half_predict(made: list[Sentences]) -> None:
    gold, *models = made
    found = iter(majority(ratings(gold, *models)).tags)
    tags = [[next(found) for _ in sentence] for sentence in gold]
    sets = [{*textbook(one, "strict")} for one in models]
    votes = {one: sum(one in entities for entities in sets) for one in set.union(*sets)}
    assert {*textbook(tags, "strict")} == {one for one, n in votes.items() if 2 * n > len(models)}
    assert {*textbook(tags, "strict")} == {*textbook(tags, "conlleval")}


def test_scores_are_means_over_the_models() -> None:
    models = [["B-LOC", "I-LOC"]], [["O", "B-ORG"]], [["B-LOC", "I-LOC"]]
    found = majority(ratings([["O", "O"]], *models, scores=[[0.9, 0.8], [0.6, 0.7], [0.6, 0.4]]))
    assert found.tags == ["B-LOC", "I-LOC"]
    assert found.scores.tolist() == pytest.approx([0.5, 0.4])
