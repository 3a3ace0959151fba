"""Definitions of metrics, against seqeval, scikit-learn and plain Python, and undefined values."""

import warnings
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tagging import EVERY_MODE, Sentences, annotated, paired, random_sentences

from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.scoring.counts import COLUMNS, OVERALL, Counts, count
from nerbench.tasks.scoring.metrics import BUILTIN, OVERALL_WITH_O, Metric, Quantity, Sums, evaluate, quantities, ratio
from nerbench.tasks.statistics.resampling import Units

Values = dict[tuple[str, str, str], float]
NAMES = ("precision", "recall", "f1")


def counted(gold: str, predicted: str) -> dict[str, Counts]:
    """Counts of one sentence in one document, by mode."""
    return {one.mode: one for one in count([paired([gold.split()], [predicted.split()], [0])], modes=EVERY_MODE)}


def total(quantity: Quantity, counts: Counts) -> float:
    return float(evaluate(quantity, counts.labels, counts.values.sum(0), counts.n_words.sum()))


def values(counts: Counts, *labels: str, undefined: float = 0.0) -> Values:
    """(label, average, metric) → value over all documents."""
    asked = [one for label in labels or (OVERALL,) for one in quantities(counts, label)]
    return {
        (one.label, one.average, one.metric.name): undefined if np.isnan(value := total(one, counts)) else value
        for one in asked
    }


def seqeval_report(gold: Sentences, predicted: Sentences, mode: str) -> dict[str, dict[str, float]]:
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    options: dict[str, Any] = {} if mode == "conlleval" else {"mode": "strict", "scheme": IOB2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report: dict[str, dict[str, float]] = classification_report(
            gold, predicted, output_dict=True, zero_division=0, **options
        )
    return report


@pytest.mark.parametrize("mode", ["strict", "conlleval", "discard"])
def test_entities_against_seqeval(mode: str) -> None:
    for seed in range(30):
        gold, predicted = random_sentences(seed, 40)
        (counts,) = (one for one in count([paired(gold, predicted)], modes=EVERY_MODE) if one.mode == mode)
        report = seqeval_report(gold, predicted, mode)
        ours = values(counts, OVERALL, *counts.labels)
        theirs = {
            (OVERALL, label.removesuffix(" avg"), name) if label.endswith(" avg") else (label, "", name): numbers[key]
            for label, numbers in report.items()
            for name, key in zip(NAMES, ("precision", "recall", "f1-score"), strict=True)
        }
        missing = dict.fromkeys(ours.keys() - theirs.keys(), 0.0)
        assert ours == pytest.approx(theirs | missing)


@pytest.mark.parametrize("label", [OVERALL, OVERALL_WITH_O])
def test_tokens_against_scikit_learn(label: str) -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    for seed in range(5):
        gold, predicted = random_sentences(seed, 60)
        counts = count([paired(gold, predicted)])[-1]
        flat = [list(chain.from_iterable(tags)) for tags in (gold, predicted)]
        occurring = sorted(set(flat[0] + flat[1]) - ({OUTSIDE} if label == OVERALL else set()))
        ours = values(counts)
        for average in ("micro", "macro", "weighted"):
            theirs = precision_recall_fscore_support(*flat, labels=occurring, average=average, zero_division=0)
            assert [ours[label, average, name] for name in NAMES] == pytest.approx(theirs[:3])
        assert ours[OVERALL, "micro", "accuracy"] == pytest.approx(accuracy_score(*flat))
        assert ours[OVERALL_WITH_O, "micro", "f1"] == ours[OVERALL, "micro", "accuracy"]
        assert (OVERALL_WITH_O, "micro", "accuracy") not in ours


def test_single_tags_against_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    gold, predicted = random_sentences(1, 60)
    counts = count([paired(gold, predicted)])[-1]
    flat = [list(chain.from_iterable(tags)) for tags in (gold, predicted)]
    ours = values(counts, OVERALL, "LOC", "ORG", "PER")
    for tag in counts.labels:
        binary = [[word == tag for word in tags] for tags in flat]
        theirs = precision_recall_fscore_support(*binary, average="binary", zero_division=0)
        assert [ours[tag, "", name] for name in NAMES] == pytest.approx(theirs[:3])
        assert ours[tag, "", "accuracy"] == pytest.approx(accuracy_score(*binary))


@pytest.mark.parametrize(
    ("gold", "predicted", "precision", "recall", "f1"),
    [
        ("O B-PER", "O O", None, 0.0, 0.0),
        ("O O", "O B-PER", 0.0, None, 0.0),
        ("O O", "O O", None, None, None),
        ("O B-PER", "O B-PER", 1.0, 1.0, 1.0),
    ],
)
def test_zero_division(
    gold: str, predicted: str, precision: float | None, recall: float | None, f1: float | None
) -> None:
    expected = [-1.0 if value is None else value for value in (precision, recall, f1)]
    for mode, counts in counted(gold, predicted).items():
        if mode in {"tag", "span"}:
            continue
        found = values(counts, OVERALL, "PER", undefined=-1.0)
        assert [found["PER", "", name] for name in NAMES] == expected
        assert [found[OVERALL, "micro", name] for name in NAMES] == expected
        # Averages count an undefined value of an occurring label 0; without such labels, or gold, they are undefined.
        macro, weighted = ([found[OVERALL, average, name] for name in NAMES] for average in ("macro", "weighted"))
        assert macro == ([-1.0] * 3 if f1 is None else [max(0.0, value) for value in expected])
        assert weighted == ([-1.0] * 3 if recall is None else [max(0.0, value) for value in expected])


def test_averages_leave_out_labels_that_do_not_occur() -> None:
    # LOC is correct, PER is missed, ORG is only predicted; a fourth type does not occur.
    counts = counted("B-LOC O B-PER O", "B-LOC B-ORG O O")
    strict = values(counts["strict"])
    assert strict[OVERALL, "macro", "precision"] == pytest.approx(1 / 3)
    assert strict[OVERALL, "weighted", "precision"] == pytest.approx(1 / 2)
    assert strict[OVERALL, "micro", "precision"] == pytest.approx(1 / 2)
    assert values(counts["tag"])[OVERALL, "micro", "accuracy"] == 0.5


def test_partial_matches_give_half_a_credit() -> None:
    # PER is right, LOC too long, ORG missed: credit 1.5 of 2 predicted and 3 in the gold.
    partial = values(counted("B-PER O B-LOC O O B-ORG", "B-PER O B-LOC I-LOC O O")["partial"], OVERALL, "LOC")
    assert [partial[OVERALL, "micro", name] for name in NAMES] == pytest.approx([1.5 / 2, 1.5 / 3, 3 / 5])
    assert [partial["LOC", "", name] for name in NAMES] == [0.5, 0.5, 0.5]


def test_span_has_micro_alone() -> None:
    span = counted("B-PER O B-LOC O", "B-LOC O B-LOC I-LOC")["span"]
    assert values(span, OVERALL, "PER") == {(OVERALL, "micro", name): 0.5 for name in NAMES}


def test_a_tagger_that_always_predicts_o_has_only_accuracy() -> None:
    tokens = values(counted("O O O B-PER", "O O O O")["tag"], OVERALL)
    assert tokens[OVERALL, "micro", "accuracy"] == tokens[OVERALL_WITH_O, "micro", "f1"] == 0.75
    assert tokens[OVERALL_WITH_O, "macro", "f1"] == pytest.approx(6 / 7 / 2)
    assert tokens[OVERALL, "micro", "f1"] == 0.0


def test_a_label_that_was_never_counted_is_undefined() -> None:
    assert set(values(counted("O", "O")["strict"], "DATE", undefined=-1.0).values()) == {-1.0}


def random_counts(level: Any, mode: str, labels: tuple[str, ...]) -> Counts:
    """Random numbers, including labels without any."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 4, (50, len(labels), len(COLUMNS)))
    numbers[:, -1] = 0
    units = Units("document", 1, 50, 50)
    n_words = numbers.sum((1, 2)) + 1
    return Counts(level=level, mode=mode, slice="all", labels=labels, units=units, values=numbers, n_words=n_words)


def by_hand(one: Quantity, counts: Counts, sums: list[list[int]], n_words: int) -> float | None:
    """The definitions in plain Python, for one sum of counts."""
    at = dict(zip(counts.labels, sums, strict=True))

    def of(row: list[int], n_right: float) -> float | None:
        tp, n_partial, n_pred, n_gold, _ = row
        part, whole = {
            "precision": (tp + n_partial / 2, n_pred),
            "recall": (tp + n_partial / 2, n_gold),
            "f1": (2 * tp + n_partial, n_pred + n_gold),
            "accuracy": (n_right, n_words),
        }[one.metric.name]
        return part / whole if whole else None

    if one.label not in {OVERALL, OVERALL_WITH_O}:
        tp, _, n_pred, n_gold, _ = at[one.label]
        return of(at[one.label], n_words - (n_pred - tp) - (n_gold - tp))
    rows = [row for label, row in at.items() if label != OUTSIDE or one.label == OVERALL_WITH_O]
    if one.average == "micro":
        return of([sum(column) for column in zip(*rows, strict=True)], sum(row[0] for row in sums))
    weights = [row[3] if one.average == "weighted" else int(row[2] + row[3] > 0) for row in rows]
    parts = [(of(row, 0) or 0.0) * weight for row, weight in zip(rows, weights, strict=True)]
    return sum(parts) / sum(weights) if sum(weights) else None


@pytest.mark.parametrize(
    "counts",
    [random_counts("entity", "partial", ("LOC", "ORG", "PER")), random_counts("token", "tag", ("O", "B-LOC", "I-LOC"))],
    ids=["entity", "token"],
)
def test_many_sums_at_once_are_each_by_hand(counts: Counts) -> None:
    sums = counts.values.reshape(5, 10, len(counts.labels), len(COLUMNS))
    words = counts.n_words.reshape(5, 10)
    for one in [q for label in (OVERALL, "LOC") for q in quantities(counts, label)]:
        found = evaluate(one, counts.labels, sums, words)
        expected = [by_hand(one, counts, s, w) for s, w in zip(counts.values.tolist(), counts.n_words, strict=True)]
        assert found.shape == (5, 10)
        assert found.ravel().tolist() == pytest.approx(
            [np.nan if value is None else value for value in expected], nan_ok=True
        )


@settings(max_examples=40, deadline=None)
@given(annotated())
def test_a_perfect_prediction_scores_one_in_every_mode(example: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, _, documents = example
    every = count([paired(gold, gold, documents)], modes=EVERY_MODE)
    assert len(every) == 8
    for counts in every:
        found = values(counts, OVERALL, "LOC", "ORG", undefined=1.0)
        assert found == pytest.approx(dict.fromkeys(found, 1.0))
        if any(tag[0] == "B" for tags in gold for tag in tags):
            assert values(counts, undefined=-1.0)[OVERALL, "micro", "f1"] == 1.0


@settings(max_examples=40, deadline=None)
@given(annotated())
def test_no_number_leaves_the_unit_interval(example: tuple[Sentences, Sentences, list[int]]) -> None:
    for counts in count([paired(*example)], modes=EVERY_MODE):
        found = values(counts, OVERALL, "LOC", "ORG", "PER")
        assert all(0 <= value <= 1 + 1e-12 for value in found.values())


def test_relabelling_types_permutes_the_numbers() -> None:
    other = {"LOC": "PER", "ORG": "LOC", "PER": "ORG"}
    gold, predicted = random_sentences(4, 60)
    renamed = [[[t if t == "O" else t[:2] + other[t[2:]] for t in tags] for tags in s] for s in (gold, predicted)]
    every = (count([paired(*one)], modes=EVERY_MODE) for one in ((gold, predicted), renamed))
    for before, after in zip(*every, strict=True):
        ours = {key: value for label in other for key, value in values(before, label).items()}
        theirs = {key: value for label in other for key, value in values(after, label).items()}
        moved = {
            (key[0][:-3] + other[key[0][-3:]], *key[1:]): value for key, value in ours.items()
        }  # a tag's prefix stays
        assert moved == pytest.approx(theirs)
        assert values(before) == pytest.approx(values(after))


def test_a_metric_of_counts_has_every_mode_average_and_parameter() -> None:
    def fbeta(sums: Sums, *, beta: float) -> Any:
        return ratio((1 + beta**2) * sums.credit, beta**2 * sums.n_gold + sums.n_pred)

    builtin = {one.name: one for one in BUILTIN}
    mine = Metric(**(vars(builtin["f1"]) | {"name": "fbeta", "compute": fbeta, "parameters": {"beta": (1, 2)}}))
    for counts in counted("B-PER B-LOC O O B-PER", "B-PER O B-LOC O I-PER").values():
        for label in (OVERALL, "PER"):
            first = quantities(counts, label, [mine])
            f1 = quantities(counts, label, [builtin["f1"]])
            assert len(first) == 2 * len(f1)
            of_one = [total(one, counts) for one in first if one.arguments == {"beta": 1}]
            assert of_one == pytest.approx([total(one, counts) for one in f1], nan_ok=True)


def test_a_ratio_is_undefined_if_the_total_is_zero() -> None:
    assert ratio(np.array([1, 2, 0]), np.array([2, 0, 0])).tolist() == pytest.approx([0.5, np.nan, np.nan], nan_ok=True)
    assert np.isnan(ratio(np.array(1), np.array(0)))
