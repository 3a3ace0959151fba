"""Metrics against seqeval and scikit-learn, and what happens where they are undefined."""

import warnings
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from tagging import Sentences, annotated, paired, random_sentences

from tasks.corpora.labels import tag_vocabulary
from tasks.scoring.counts import Counts, count_all, count_entities, count_tokens
from tasks.scoring.metrics import METRICS, Row, score, score_label, score_overall

seqeval_metrics = pytest.importorskip("seqeval.metrics")
sklearn_metrics = pytest.importorskip("sklearn.metrics")


def values(rows: list[Row]) -> dict[tuple[str, str], float]:
    """(average, metric) → value, undefined as 0."""
    return {(row["average"], row["metric"]): row["value"] or 0.0 for row in rows}


def seqeval_report(gold: Sentences, predicted: Sentences, mode: str) -> dict[str, dict[str, float]]:
    from seqeval.scheme import IOB2

    options: dict[str, Any] = {"mode": "strict", "scheme": IOB2} if mode == "strict" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report: dict[str, dict[str, float]] = seqeval_metrics.classification_report(
            gold, predicted, output_dict=True, zero_division=0, **options
        )
    return report


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_entities_against_seqeval(mode: Any) -> None:
    for seed in range(50):
        gold, predicted = random_sentences(seed, 40)
        counts = count_entities(paired(gold, predicted), mode)
        report = seqeval_report(gold, predicted, mode)
        scored = values(score_overall(counts))
        names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
        for average in ("micro", "macro", "weighted"):
            theirs = report.pop(f"{average} avg")
            assert [scored[average, n] for n in names] == pytest.approx([theirs[n] for n in names.values()])
        assert set(report) == {
            label for label, n in zip(counts.labels, (counts.n_gold + counts.n_pred).sum(0), strict=True) if n
        }
        for label, theirs in report.items():
            rows = score_label(counts, label)
            assert [values(rows)["", n] for n in names] == pytest.approx([theirs[n] for n in names.values()])
            assert {row["support"] for row in rows} == {theirs["support"]}


def test_tokens_against_scikit_learn() -> None:
    for seed in range(5):
        gold, predicted = random_sentences(seed, 60)
        counts = count_tokens(paired(gold, predicted))
        flat = [list(chain.from_iterable(tags)) for tags in (gold, predicted)]
        occurring = sorted(set(flat[0] + flat[1]) - {"O"})
        scored = values(score_overall(counts))
        for average in ("micro", "macro", "weighted"):
            theirs = sklearn_metrics.precision_recall_fscore_support(
                *flat, labels=occurring, average=average, zero_division=0
            )
            assert [scored[average, m] for m in ("precision", "recall", "f1")] == pytest.approx(theirs[:3])
        assert scored["micro", "accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(*flat))
        for tag in ("O", *occurring):
            binary = [[word == tag for word in tags] for tags in flat]
            theirs = sklearn_metrics.precision_recall_fscore_support(*binary, average="binary", zero_division=0)
            ours = values(score_label(counts, tag))
            assert [ours["", m] for m in ("precision", "recall", "f1")] == pytest.approx(theirs[:3])
            assert ours["", "accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(*binary))


def counted(gold: str, predicted: str) -> tuple[Counts, Counts]:
    tags = paired([gold.split()], [predicted.split()], [0])
    return count_entities(tags, "strict"), count_tokens(tags)


@pytest.mark.parametrize(
    ("gold", "predicted", "precision", "recall", "f1"),
    [
        ("O B-PER", "O O", None, 0.0, 0.0),
        ("O O", "O B-PER", 0.0, None, 0.0),
        ("O O", "O O", None, None, None),
        ("O B-PER", "O B-PER", 1.0, 1.0, 1.0),
    ],
)
def test_undefined_values(
    gold: str, predicted: str, precision: float | None, recall: float | None, f1: float | None
) -> None:
    entities, _ = counted(gold, predicted)
    rows = {row["metric"]: row for row in score_label(entities, "PER")}
    micro = {row["metric"]: row for row in score_overall(entities) if row["average"] == "micro"}
    reasons = {
        "precision": "nothing predicted",
        "recall": "none in the gold",
        "f1": "neither predicted nor in the gold",
    }
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        for row in (rows[name], micro[name]):
            assert row["value"] == expected
            assert row["status"] == ("undefined" if expected is None else "ok")
            assert row["reason"] == (reasons[name] if expected is None else None)


def test_averages_leave_out_what_does_not_occur_and_count_undefined_as_zero() -> None:
    # LOC is right, PER is missed, ORG is only predicted; nothing of a fourth type.
    entities, tokens = counted("B-LOC O B-PER O", "B-LOC B-ORG O O")
    scored = values(score_overall(entities))
    assert scored["macro", "precision"] == pytest.approx(1 / 3)
    assert scored["weighted", "precision"] == pytest.approx(1 / 2)
    assert scored["micro", "precision"] == pytest.approx(1 / 2)
    assert values(score_overall(tokens))["micro", "accuracy"] == 0.5
    nothing = {(r["average"], r["metric"]): r["status"] for r in score_overall(counted("O", "O")[0])}
    assert set(nothing.values()) == {"undefined"}


def test_a_tagger_that_says_o_always_is_accurate_but_for_every_other_metric_nothing() -> None:
    _, tokens = counted("O O O B-PER", "O O O O")
    rows = {(r["average"], r["metric"]): r for r in score_overall(tokens)}
    assert rows["micro", "accuracy"]["value"] == 0.75
    assert ("macro", "accuracy") not in rows
    assert [rows["micro", "accuracy"][k] for k in ("tp", "n_pred", "n_gold")] == [3, 4, 4]
    assert rows["micro", "f1"]["value"] == 0.0
    assert [rows["micro", "f1"][k] for k in ("tp", "n_pred", "n_gold")] == [0, 0, 1]


def test_rows_say_what_they_are_about() -> None:
    entities, _ = counted("B-PER O", "B-PER B-PER")
    assert score_label(entities, "PER")[0] == {
        "slice": "all",
        "level": "entity",
        "mode": "strict",
        "label": "PER",
        "average": "",
        "metric": "precision",
        "value": 0.5,
        "tp": 1,
        "n_pred": 2,
        "n_gold": 1,
        "support": 1,
        "n_documents": 1,
        "status": "ok",
        "reason": None,
    }
    assert score_label(count_tokens(paired([["O"]], [["O"]])), "O")[0]["n_documents"] is None


def test_labels_that_were_never_counted() -> None:
    rows = score_label(counted("O", "O")[0], "DATE")
    assert {(row["label"], row["status"], row["support"]) for row in rows} == {("DATE", "undefined", 0)}


def test_a_type_brings_its_tags_and_overall_the_tag_o() -> None:
    counts = count_all(paired(*random_sentences(0, 10), list(range(10))))
    labels = {label: {(r["mode"], r["label"]) for r in score(counts, label)} for label in ("PER", "overall")}
    assert labels["PER"] == {("strict", "PER"), ("conlleval", "PER"), ("tag", "B-PER"), ("tag", "I-PER")}
    assert labels["overall"] == {(m, "overall") for m in ("strict", "conlleval", "tag")} | {("tag", "O")}


@settings(max_examples=60)
@given(annotated())
def test_every_row_is_consistent(example: tuple[Sentences, Sentences, list[int]]) -> None:
    counts = count_all(paired(*example))
    rows = [row for label in ("overall", "LOC", "ORG", "PER") for row in score(counts, label)]
    assert {row["metric"] for row in rows} == set(METRICS)
    keys = [(r["mode"], r["label"], r["average"], r["metric"]) for r in rows]
    assert len(set(keys)) == len(keys)
    assert {r["label"] for r in rows if r["mode"] == "tag"} == {"overall", *tag_vocabulary(("LOC", "ORG", "PER"))}
    for row in rows:
        assert (row["value"] is None) == (row["status"] == "undefined") == (row["reason"] is not None)
        assert row["value"] is None or 0 <= row["value"] <= 1 + 1e-12
        assert row["tp"] <= min(row["n_pred"], row["n_gold"])


@settings(max_examples=60)
@given(annotated())
def test_perfect_predictions_score_one(example: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, _, documents = example
    rows = [row for counts in count_all(paired(gold, gold, documents)) for row in score_overall(counts)]
    defined = [row["value"] for row in rows if row["status"] == "ok"]
    assert defined == pytest.approx([1.0] * len(defined))
    assert len(defined) >= 1
