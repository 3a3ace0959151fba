"""The ranking: what is suspect, what is proposed, and on which evidence."""

import random
from math import log

import pytest
from annotations import annotated, predicted

from nerbench.tasks.comparison.flips import Entity
from nerbench.tasks.suspects.ranking import FEWER, PRIOR, WEIGHTS, Occurrences, Opinion, Suspect, rank

CITIES = ("Oslo", "Rome", "Paris", "Berlin", "Madrid", "Vienna", "Prague", "Lisbon", "Dublin", "Athens")
CLUBS = ("Ajax", "Arsenal", "Benfica", "Celtic", "Chelsea", "Everton", "Juventus", "Lazio", "Porto", "Rangers")


def test_where_all_agree_nothing_is_suspect() -> None:
    lines = ["Anna|B-PER Berg|I-PER visits|O Oslo|B-LOC", "Rome|B-LOC wins|O"]
    assert rank(annotated(lines), [predicted(lines)] * 2, annotated(lines)) == []


@pytest.mark.parametrize(
    ("gold", "model", "kind", "span"),
    [
        ("Ajax|B-LOC beat|O Porto|B-ORG", "Ajax|B-ORG beat|O Porto|B-ORG", "type", (0, 1)),
        ("Ajax|O beat|O Porto|B-ORG", "Ajax|B-ORG beat|O Porto|B-ORG", "missing", (0, 1)),
        ("Ajax|B-ORG beat|B-ORG Porto|B-ORG", "Ajax|B-ORG beat|O Porto|B-ORG", "spurious", (1, 2)),
        ("van|O Basten|B-PER beat|O", "van|B-PER Basten|I-PER beat|O", "boundary", (0, 2)),
        ("Ajax|B-LOC Club|B-ORG beat|O", "Ajax|B-PER Club|I-PER beat|O", "type+boundary", (0, 2)),
    ],
)
def test_a_kind_is_what_seems_wrong(gold: str, model: str, kind: str, span: tuple[int, int]) -> None:
    (found,) = rank(annotated([gold]), [predicted([model])])
    assert (found.kind, (found.start, found.end), found.sentence) == (kind, span, 0)
    assert found.opinions == (Opinion("proposal", pytest.approx(0.9)),)


def test_a_score_is_the_sum_of_its_terms() -> None:
    gold = ["Ajax|B-LOC beat|O Porto|B-ORG", "Ajax|B-ORG won|O", "Ajax|B-ORG", "Ajax|B-LOC lost|O"]
    train = ["Ajax|B-ORG is|O", "Ajax|B-ORG was|O", "Ajax|B-LOC"]
    models = [[gold[0].replace("Ajax|B-LOC", "Ajax|B-ORG"), *gold[1:]]] * 2 + [gold]
    found = rank(annotated(gold, [0, 0, 1, 1]), [predicted(one, 0.8) for one in models], annotated(train))
    one = next(suspect for suspect in found if suspect.sentence == 0)
    assert one.gold == (Entity(0, 1, "LOC"),)
    assert one.proposed == (Entity(0, 1, "ORG"),)
    assert [opinion.reading for opinion in one.opinions] == ["proposal", "proposal", "gold"]
    assert (one.in_document, one.in_split, one.in_train) == (Occurrences(0, 1), Occurrences(1, 1), Occurrences(1, 2))
    assert one.evidence.train == pytest.approx(log(2.5 / 1.5))
    terms = [WEIGHTS[name] * value for name, value in one.evidence._asdict().items()]
    assert one.score == pytest.approx(PRIOR + sum(terms))


def test_words_that_are_rarely_in_entities_count_against_a_proposal() -> None:
    gold = ["old|O Ajax|B-ORG won|O", "it|O lost|O", "one|O Porto|B-ORG of|O"]
    with_capital = ["old|O Ajax|B-ORG won|O", "it|O lost|O", "one|O Porto|B-ORG of|B-ORG"]
    without = ["old|O Ajax|O won|O", *gold[1:]]
    (added,) = rank(annotated(gold), [predicted(with_capital)])
    assert added.evidence.case == pytest.approx(log(1 / 4))  # three such words in lower case, none of them in an entity
    assert added.prior == PRIOR
    (removed,) = rank(annotated(gold), [predicted(without)])
    assert removed.evidence.case == pytest.approx(log(1 / 3))  # two such words with a capital, both in entities
    assert removed.prior == PRIOR + FEWER


def test_more_evidence_ranks_higher() -> None:
    """A correction that all models and the train split support comes before one that a single model proposes."""
    gold = ["Ajax|B-LOC won|O", "Porto|B-LOC won|O"]
    both, one = ["Ajax|B-ORG won|O", "Porto|B-ORG won|O"], ["Ajax|B-ORG won|O", "Porto|B-LOC won|O"]
    train = annotated(["Ajax|B-ORG lost|O"] * 3)
    found = rank(annotated(gold), [predicted(both), predicted(one)], train)
    assert [suspect.sentence for suspect in found] == [0, 1]


def test_strings_alone_can_be_suspect() -> None:
    """Models that repeat the annotation do not hide that it contradicts itself."""
    gold = ["Ajax|B-ORG won|O"] * 5 + ["Ajax|O won|O"]
    found = rank(annotated(gold), [predicted(gold)])
    assert [(one.sentence, one.kind, one.opinions[0].reading) for one in found] == [(5, "missing", "gold")]


def test_a_model_without_scores_and_a_split_without_documents_count() -> None:
    (found,) = rank(annotated(["Ajax|B-LOC won|O"]), [predicted(["Ajax|B-ORG won|O"], None)])
    assert (found.document, found.opinions[0].confidence, found.in_document) == (None, None, Occurrences(0, 0))


def ranked(seed: int, order: list[int]) -> tuple[list[Suspect], set[int]]:
    """Sentences with planted errors, and three models that make mistakes of their own."""
    rng = random.Random(seed)
    truth = [f"{rng.choice(CITIES)}|B-LOC hosts|O {rng.choice(CLUBS)}|B-ORG" for _ in range(300)]
    planted = {*rng.sample(range(300), 20)}
    gold = [line.replace("B-ORG", "B-PER") if number in planted else line for number, line in enumerate(truth)]
    models = [
        predicted([line.replace("B-LOC", "B-ORG") if rng.random() < 0.05 else line for line in truth], 0.7 + n / 10)
        for n in range(3)
    ]
    train = annotated(truth[:100])
    return rank(annotated(gold, [n // 10 for n in range(300)]), [models[n] for n in order], train), planted


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_come_first(seed: int) -> None:
    found, planted = ranked(seed, [0, 1, 2])
    assert {one.sentence for one in found[:20]} == planted
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_order_of_models_does_not_matter() -> None:
    first, second = ranked(0, [0, 1, 2])[0], ranked(0, [2, 0, 1])[0]
    assert [(one.sentence, one.proposed) for one in first] == [(one.sentence, one.proposed) for one in second]
    assert [one.score for one in first] == pytest.approx([one.score for one in second])
