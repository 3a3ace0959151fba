"""The confusion matrix, against the best of all pairings and against the counts of `strict`."""

from collections import Counter

import pytest
from brute_force import all_pairs, described, parts_of
from hypothesis import given, settings
from tagging import Sentences, annotated, counted, random_sentences, totals

from nerbench.tasks.analysis.errors import confusion
from nerbench.tasks.scoring.metrics import Row

Cells = dict[tuple[str, str, str], int]


def cells(rows: list[Row]) -> Cells:
    return {(row["gold_label"], row["pred_label"], row["boundaries"]): row["n"] for row in rows}


def expected(gold: Sentences, predicted: Sentences) -> Cells:
    found: Counter[tuple[str, str, str]] = Counter()
    for ours, theirs in all_pairs(gold, predicted):
        same = ours and theirs and ours[:3] == theirs[:3]
        boundaries = "same" if same else "overlap" if ours and theirs else "none"
        found[ours.type if ours else "O", theirs.type if theirs else "O", boundaries] += 1
    return found


@settings(max_examples=100, derandomize=True, deadline=None)
@given(annotated())
def test_the_best_of_all_pairings(data: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, predicted, _ = data
    rows = confusion([described(gold, predicted)])
    assert cells(rows) == expected(gold, predicted)
    assert [tuple(row.values())[:3] for row in rows] == sorted(cells(rows))


@pytest.mark.parametrize("seed", range(5))
def test_rows_and_columns_sum_to_the_counts_of_strict(seed: int) -> None:
    gold, predicted = random_sentences(seed, 60)
    strict = counted(gold, predicted)["strict"]
    found = cells(confusion([described(gold, predicted)]))
    for side, column in ((0, "n_gold"), (1, "n_pred")):
        sums: Counter[str] = Counter()
        for labels, n in found.items():
            sums[labels[side]] += n
        del sums["O"]
        assert sums == totals(strict, column)
    right = {
        gold: n for (gold, predicted, boundaries), n in found.items() if gold == predicted and boundaries == "same"
    }
    assert right == totals(strict, "tp")


def test_parts_add_up() -> None:
    tagged = described(*random_sentences(1, 40))
    assert confusion(parts_of(tagged, 7, 8, 30)) == confusion([tagged])


def test_a_sentence_of_each_kind() -> None:
    gold = ["B-PER I-PER O".split(), "B-PER I-PER O".split(), "B-LOC O O".split(), "O O B-ORG".split()]
    predicted = ["B-PER I-PER O".split(), "B-LOC I-LOC I-LOC".split(), "O O B-ORG".split(), "O O B-LOC".split()]
    assert cells(confusion([described(gold, predicted)])) == {
        ("PER", "PER", "same"): 1,
        ("PER", "LOC", "overlap"): 1,
        ("LOC", "O", "none"): 1,
        ("O", "ORG", "none"): 1,
        ("ORG", "LOC", "same"): 1,
    }


def test_an_all_outside_model_misses_everything_and_no_words_are_no_rows() -> None:
    gold, _ = random_sentences(2, 20)
    rows = confusion([described(gold, [["O"] * len(tags) for tags in gold])])
    assert {(row["pred_label"], row["boundaries"]) for row in rows} == {("O", "none")}
    assert confusion([]) == []


def test_two_pairs_of_other_types_are_preferred_to_one_of_the_same() -> None:
    gold, predicted = ["B-PER I-PER B-LOC I-LOC".split()], ["B-LOC B-PER I-PER O".split()]
    assert cells(confusion([described(gold, predicted)])) == {
        ("LOC", "PER", "overlap"): 1,
        ("PER", "LOC", "overlap"): 1,
    }
