"""Correct entities in each mode, against seqeval, conlleval's algorithm and all possible pairings."""

import warnings
from collections import Counter
from dataclasses import dataclass

import pytest
from tagging import Entity, Found, Sentences, as_dict, counted, one_to_one, random_sentences, textbook, totals

from nerbench.tasks.scoring.counts import COLUMNS
from nerbench.tasks.scoring.entities import MODES


@pytest.mark.parametrize("mode", MODES)
def test_exact_matches_of_each_document_and_type(mode: str) -> None:
    for seed in range(20):
        gold, predicted = random_sentences(seed, 60)
        documents = [n // 7 for n in range(60)]
        counts = counted(gold, predicted, documents)[mode]
        reading = "conlleval" if mode == "conlleval" else "strict"
        in_gold, in_predicted = set(textbook(gold, reading)), set(textbook(predicted, reading))
        for column, entities in (("tp", in_gold & in_predicted), ("n_pred", in_predicted), ("n_gold", in_gold)):
            assert as_dict(counts, column) == Counter((documents[e.sentence], e.type) for e in entities)
        invalid = set(textbook(predicted, "conlleval")) - set(textbook(predicted, "strict"))
        assert as_dict(counts, "n_invalid") == Counter((documents[e.sentence], e.type) for e in invalid)
        assert counts.n_words.tolist() == [sum(map(len, gold[n : n + 7])) for n in range(0, 60, 7)]
        assert counts.units == ("document", 1, 9, 9)


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_exact_matches_against_seqeval(mode: str) -> None:
    scheme = pytest.importorskip("seqeval.scheme")
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")

    def theirs(sentences: Sentences) -> set[tuple[int, int, int, str]]:
        if mode == "strict":
            listed = enumerate(scheme.Entities(sentences, scheme.IOB2).entities)
            return {(n, one.start, one.end, one.tag) for n, entities in listed for one in entities}
        every = ((n, one) for n, tags in enumerate(sentences) for one in labeling.get_entities(tags))
        return {(n, start, end + 1, kind) for n, (kind, start, end) in every}

    for seed in range(40):
        gold, predicted = random_sentences(seed, 40)
        counts = counted(gold, predicted)[mode]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours, answers = theirs(gold), theirs(predicted)
        for column, entities in (("tp", ours & answers), ("n_pred", answers), ("n_gold", ours)):
            assert as_dict(counts, column) == Counter((sentence, kind) for sentence, _, _, kind in entities)


def chunk_changes(before: str, tag: str) -> tuple[bool, bool]:
    """Whether a chunk ends before the tag and one starts at it, by the rules of Tjong Kim Sang's conlleval script."""
    changes_type = before[2:] != tag[2:]
    ends = before != "O" and (tag[0] in "BO" or changes_type)
    starts = tag != "O" and (tag[0] == "B" or before == "O" or changes_type)
    return ends, starts


def conlleval(gold: Sentences, predicted: Sentences) -> dict[str, Counter[str]]:
    """The script's single pass over the words, which does not list chunks."""
    found: dict[str, Counter[str]] = {column: Counter() for column in ("tp", "n_pred", "n_gold")}
    for ours, theirs in zip(gold, predicted, strict=True):
        in_correct, last = False, ("O", "O")
        for tags in [*zip(ours, theirs, strict=True), ("O", "O")]:
            (ends, starts), (their_end, their_start) = (chunk_changes(*pair) for pair in zip(last, tags, strict=True))
            if in_correct and ends and their_end and last[0][2:] == last[1][2:]:
                in_correct = False
                found["tp"][last[0][2:]] += 1
            elif in_correct and (ends != their_end or tags[0][2:] != tags[1][2:]):
                in_correct = False
            in_correct |= starts and their_start and tags[0][2:] == tags[1][2:]
            found["n_gold"].update([tags[0][2:]] * starts)
            found["n_pred"].update([tags[1][2:]] * their_start)
            last = tags
    return found


def test_against_the_algorithm_of_conlleval() -> None:
    for seed in range(60):
        sentences = random_sentences(seed, 50)
        counts = counted(*sentences)["conlleval"]
        assert {column: totals(counts, column) for column in ("tp", "n_pred", "n_gold")} == conlleval(*sentences)


@dataclass(frozen=True)
class Pair:
    gold: Entity
    predicted: Entity

    @property
    def n_words(self) -> int:
        return min(self.gold.end, self.predicted.end) - max(self.gold.start, self.predicted.start)

    @property
    def same_words(self) -> bool:
        return self.gold[:3] == self.predicted[:3]

    @property
    def same_type(self) -> bool:
        return self.gold.type == self.predicted.type


def best_pairs(gold: list[Entity], predicted: list[Entity], prefer: str) -> list[Pair]:
    """The best pairs of one sentence, by brute force."""
    every = [Pair(ours, theirs) for ours in gold for theirs in predicted]
    possible = sorted((one for one in every if one.n_words > 0), key=lambda one: max(one.gold[1], one.predicted[1]))

    def worth(chosen: list[Pair]) -> tuple[int, int, int, list[bool]]:
        same = sum(one.same_type for one in chosen)
        order = (len(chosen), same) if prefer == "span" else (same, len(chosen))
        return (*order, sum(one.n_words for one in chosen), [one in chosen for one in possible])

    return max(one_to_one(possible), key=worth)


def inexact(gold: Sentences, predicted: Sentences, mode: str) -> dict[str, Found]:
    """Counts by sentence and label, from the definitions."""
    found: dict[str, Counter[tuple[int, str]]] = {column: Counter() for column in COLUMNS}
    for number, (ours, theirs) in enumerate(zip(gold, predicted, strict=True)):
        entities, answers = list(textbook([ours], "strict")), list(textbook([theirs], "strict"))
        pairs = best_pairs(entities, answers, "type" if mode == "type" else "span")
        paired_with = {pair.predicted: pair.gold for pair in pairs}
        labels = {
            "n_gold": [one.type for one in entities],
            "n_pred": [paired_with.get(one, one).type for one in answers],
            "tp": [one.gold.type for one in pairs if (one.same_type if mode == "type" else one.same_words)],
            "n_partial": [one.gold.type for one in pairs if mode == "partial" and not one.same_words],
        }
        for column, names in labels.items():
            found[column].update((number, "overall" if mode == "span" else name) for name in names)
    return {column: dict(numbers) for column, numbers in found.items()}


@pytest.mark.parametrize("mode", ["exact", "partial", "type", "span"])
def test_inexact_matches_against_all_pairings(mode: str) -> None:
    for seed in range(25):
        gold, predicted = random_sentences(seed, 30, longest=10)
        counts = counted(gold, predicted)[mode]
        assert {column: as_dict(counts, column) for column in COLUMNS} == inexact(gold, predicted, mode)


@pytest.mark.parametrize(
    ("gold", "predicted", "right", "n_partial"),
    [  # correct in exact, partial, type: the scenarios of SemEval-2013 task 9
        ("B-PER I-PER", "B-PER I-PER", (1, 1, 1), 0),
        ("B-PER I-PER", "O O", (0, 0, 0), 0),
        ("O O", "B-PER I-PER", (0, 0, 0), 0),
        ("B-PER I-PER", "B-LOC I-LOC", (1, 1, 0), 0),
        ("B-PER I-PER", "B-PER O", (0, 0, 1), 1),
        ("B-PER I-PER", "B-LOC O", (0, 0, 0), 1),
        ("B-PER I-PER", "B-PER B-PER", (0, 0, 1), 1),
        ("B-PER B-LOC", "B-LOC I-LOC", (0, 0, 1), 1),
        ("B-PER I-PER", "I-PER I-PER", (0, 0, 0), 0),
    ],
)
def test_semeval_by_hand(gold: str, predicted: str, right: tuple[int, int, int], n_partial: int) -> None:
    counts = counted([gold.split()], [predicted.split()])
    assert tuple(counts[mode].column("tp").sum() for mode in ("exact", "partial", "type")) == right
    assert counts["span"].column("tp").sum() == right[0]
    assert counts["partial"].column("n_partial").sum() == n_partial


def test_a_wrong_type_counts_under_the_type_of_its_gold_entity() -> None:
    counts = counted([["B-PER", "O"]], [["B-LOC", "B-ORG"]])["exact"]
    assert totals(counts, "n_gold") == totals(counts, "tp") == {"PER": 1}
    assert totals(counts, "n_pred") == {"PER": 1, "ORG": 1}


def test_tokens_of_each_document_and_tag() -> None:
    gold, predicted = random_sentences(1, 40)
    counts = counted(gold, predicted, [n // 3 for n in range(40)])["tag"]
    words = [(n // 3, g, p) for n, s in enumerate(gold) for g, p in zip(s, predicted[n], strict=True)]
    assert as_dict(counts, "tp") == Counter((d, g) for d, g, p in words if g == p)
    assert as_dict(counts, "n_pred") == Counter((d, p) for d, _, p in words)
    assert as_dict(counts, "n_gold") == Counter((d, g) for d, g, _ in words)


def test_invalid_transitions_are_those_of_the_predictions() -> None:
    for mode in MODES:
        assert totals(counted([["I-PER", "O"]], [["I-LOC", "I-PER"]])[mode], "n_invalid") == {"LOC": 1, "PER": 1}
        assert totals(counted([["I-PER", "O"]], [["B-LOC", "I-LOC"]])[mode], "n_invalid") == {}
