"""Relations between the counts of related corpora, in every mode."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from tagging import EVERY_MODE, TYPES, Sentences, annotated, paired, random_sentences, textbook

from nerbench.tasks.data.tag_schemes import type_of
from nerbench.tasks.scoring.counts import COLUMNS, Counts, count

Example = tuple[Sentences, Sentences, list[int]]
SEEDS = range(12)
few = settings(max_examples=60, derandomize=True, deadline=None)


def counted(gold: Sentences, predicted: Sentences, documents: list[int] | None = None) -> list[Counts]:
    return count([paired(gold, predicted, documents)], modes=EVERY_MODE)


def sums(counts: Counts) -> np.ndarray:
    """(labels, columns) over all units."""
    return counts.values.sum(0)


def overall(counts: Counts) -> dict[str, int]:
    return dict(zip(COLUMNS, sums(counts).sum(0).tolist(), strict=True))


def retagged(sentences: Sentences, names: dict[str, str]) -> Sentences:
    return [[tag if (kind := type_of(tag)) is None else tag[:2] + names[kind] for tag in tags] for tags in sentences]


def mirrored(sentences: Sentences) -> Sentences:
    """The strict entities of a text that is read from its end."""
    result = [["O"] * len(tags) for tags in sentences]
    for one in textbook(sentences, "strict"):
        tags = result[one.sentence]
        start, end = len(tags) - one.end, len(tags) - one.start
        tags[start:end] = [f"B-{one.type}"] + [f"I-{one.type}"] * (end - start - 1)
    return result


@few
@given(annotated())
def test_perfect_predictions_are_all_right(example: Example) -> None:
    gold, _, documents = example
    for counts in counted(gold, gold, documents):
        tp, n_partial, n_pred, n_gold, _ = sums(counts).T.tolist()
        assert tp == n_pred == n_gold
        assert not any(n_partial)


@few
@given(annotated())
def test_order_of_the_modes(example: Example) -> None:
    counts = {one.mode: overall(one) for one in counted(*example)}
    strict, exact, partial = (counts[mode] for mode in ("strict", "exact", "partial"))
    assert strict["tp"] <= exact["tp"] == partial["tp"] == counts["span"]["tp"]
    assert strict["tp"] <= counts["type"]["tp"] <= exact["tp"] + partial["n_partial"]
    assert exact["tp"] + partial["n_partial"] <= min(exact["n_pred"], exact["n_gold"])
    for mode in ("discard", "exact", "partial", "type", "span"):
        assert counts[mode]["n_pred"] == strict["n_pred"]
        assert counts[mode]["n_gold"] == strict["n_gold"]


@few
@given(annotated(), annotated())
def test_counts_of_a_concatenation_are_those_of_its_parts(first: Example, second: Example) -> None:
    shifted = [number + first[2][-1] + 1 for number in second[2]]
    both = counted(first[0] + second[0], first[1] + second[1], first[2] + shifted)
    for whole, one, two in zip(both, counted(*first), counted(*second), strict=True):
        np.testing.assert_array_equal(whole.values, np.concatenate([one.values, two.values]))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_duplicated_corpus_has_twice_the_counts(seed: int) -> None:
    gold, predicted = random_sentences(seed, 40)
    for twice, once in zip(counted(gold * 2, predicted * 2), counted(gold, predicted), strict=True):
        assert sums(twice).tolist() == (2 * sums(once)).tolist()
        assert sums(once).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_order_of_sentences_does_not_matter(seed: int) -> None:
    pairs = list(zip(*random_sentences(seed, 40), strict=True))
    shuffled = random.Random(seed).sample(pairs, len(pairs))
    orders = ([list(tags) for tags in zip(*order, strict=True)] for order in (pairs, shuffled))
    for one, other in zip(*(counted(*order) for order in orders), strict=True):
        assert sums(one).tolist() == sums(other).tolist()


@pytest.mark.parametrize("names", [("ORG", "PER", "LOC"), ("PER", "ORG", "LOC")])
@pytest.mark.parametrize("seed", SEEDS)
def test_other_names_of_types_permute_the_labels(seed: int, names: tuple[str, ...]) -> None:
    gold, predicted = random_sentences(seed, 40)
    renamed = dict(zip(TYPES, names, strict=True)) | {"overall": "overall"}
    before, after = counted(gold, predicted), counted(retagged(gold, renamed), retagged(predicted, renamed))
    for one, other in zip(before, after, strict=True):
        if one.level == "token":
            to = [tag if (kind := type_of(tag)) is None else tag[:2] + renamed[kind] for tag in one.labels]
        else:
            to = [renamed[label] for label in one.labels]
        np.testing.assert_array_equal(one.values, other.values[:, [other.labels.index(label) for label in to]])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mirrored_text_has_the_same_totals(seed: int) -> None:
    gold, predicted = random_sentences(seed, 60)
    forwards = counted(mirrored(mirrored(gold)), mirrored(mirrored(predicted)))
    backwards = counted(mirrored(gold), mirrored(predicted))
    for one, other in zip(forwards[:-1], backwards[:-1], strict=True):
        assert overall(one) == overall(other)
        if one.mode in ("strict", "conlleval", "discard"):
            np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_and_predictions_swapped(seed: int) -> None:
    gold, predicted = random_sentences(seed, 60)
    for one, other in zip(counted(gold, predicted), counted(predicted, gold), strict=True):
        ours, theirs = overall(one), overall(other)
        assert (ours["n_pred"], ours["n_gold"]) == (theirs["n_gold"], theirs["n_pred"])
        assert (ours["tp"], ours["n_partial"]) == (theirs["tp"], theirs["n_partial"])
