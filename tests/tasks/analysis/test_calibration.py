"""Calibration, against scikit-learn and the textbook definitions."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from brute_force import all_pairs, described, parts_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from tagging import Sentences, annotated, counted, paired, random_sentences, totals

from nerbench.artifacts.tables.schemas import IDENTITY, schema
from nerbench.tasks.analysis.calibration import METRICS, N_BINS, N_POINTS, Calibration, calibration
from nerbench.tasks.data import arrow_cache
from nerbench.tasks.scoring.score import ROW
from nerbench.tasks.scoring.tagged_words import TaggedWords

Judged = list[tuple[float, bool]]


def judged_words(entities: Judged) -> TaggedWords:
    """One sentence of one-word entities, each correct or not, with this confidence."""
    gold = ["B-PER" if right else "B-LOC" for _, right in entities]
    tagged = paired([gold], [["B-PER"] * len(gold)])
    return replace(tagged, score=np.array([confidence for confidence, _ in entities], np.float32))


def entities_of(n: int, seed: int = 0, *, levels: int | None = None) -> Judged:
    """Entities that are correct as often as their confidence predicts; few levels, so that many are equal."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1, n) if levels is None else rng.integers(1, levels, n) / levels
    return list(zip(confidence.astype(np.float32).tolist(), (rng.random(n) < confidence).tolist(), strict=True))


def value(found: Calibration, metric: str, label: str = "overall") -> float | None:
    (row,) = [row for row in found.metrics if (row["metric"], row["label"]) == (metric, label)]
    number: float | None = row["value"]
    return number


def rows_of(found: Calibration, kind: str, label: str = "overall") -> list[dict[str, Any]]:
    return [row for row in found.rows if (row["kind"], row["label"]) == (kind, label)]


def area(entities: Judged) -> float:
    """The mean over the entities of the share of wrong ones among those with at least the same confidence."""
    risks = []
    for threshold, _ in entities:
        kept = [right for confidence, right in entities if confidence >= threshold]
        risks.append(1 - sum(kept) / len(kept))
    return sum(risks) / len(risks)


@pytest.mark.parametrize("n", [150, 600])
def test_bins_are_those_of_scikit_learn(n: int) -> None:
    entities = entities_of(n)
    confidence, right = zip(*entities, strict=True)
    accuracy, mean = calibration_curve(right, confidence, n_bins=N_BINS, strategy="quantile")
    found = calibration([judged_words(entities)])
    bins = rows_of(found, "bin")[::-1]
    np.testing.assert_allclose([row["accuracy"] for row in bins], accuracy)
    np.testing.assert_allclose([row["mean_confidence"] for row in bins], mean)
    assert value(found, "ece_equal_mass") == pytest.approx(np.abs(accuracy - mean).mean())
    assert value(found, "brier") == pytest.approx(brier_score_loss(right, confidence))


def in_bins(entities: Judged, number_of: Callable[[int], int]) -> float:
    """The expected calibration error by definition; the highest confidence is first, and each rank has a bin."""
    ranked = sorted(entities, reverse=True)
    error = 0.0
    for number in {number_of(rank) for rank in range(len(ranked))}:
        inside = [one for rank, one in enumerate(ranked) if number_of(rank) == number]
        accuracy = sum(right for _, right in inside) / len(inside)
        confidence = sum(score for score, _ in inside) / len(inside)
        error += len(inside) / len(ranked) * abs(accuracy - confidence)
    return error


SCORES = st.one_of(st.integers(0, 15).map(lambda n: n / 15), st.floats(0, 1, width=32))


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=150, max_size=200))
def test_both_calibration_errors_by_brute_force(entities: Judged) -> None:
    entities = [(float(np.float32(score)), right) for score, right in entities]
    ranked = [score for score, _ in sorted(entities, reverse=True)]
    n = len(ranked)

    def by_width(rank: int) -> int:
        return next(i for i in range(N_BINS) if ranked[rank] <= (i + 1) / N_BINS or i == N_BINS - 1)

    def by_mass(rank: int) -> int:
        """The first bin that is not full before the first entity with the same confidence."""
        first = ranked.index(ranked[rank])
        return next(i for i in range(N_BINS) if -(-(i + 1) * n // N_BINS) > first)

    found = calibration([judged_words(entities)])
    assert value(found, "ece_equal_width") == pytest.approx(in_bins(entities, by_width), abs=1e-6)
    assert value(found, "ece_equal_mass") == pytest.approx(in_bins(entities, by_mass), abs=1e-6)


def test_equal_width_and_equal_mass_differ_for_a_tagger_that_is_mostly_sure() -> None:
    """Half have confidence 0.99 and are always correct, half 0.95 and are correct in 90 %: one bin of equal width."""
    entities = [(0.99, True)] * 300 + [(0.95, n % 10 > 0) for n in range(300)]
    found = calibration([judged_words(entities)])
    assert value(found, "ece_equal_mass") == pytest.approx((0.01 + 0.05) / 2, abs=1e-6)
    assert value(found, "ece_equal_width") == pytest.approx(0.97 - 0.95, abs=1e-6)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6).map(lambda n: n / 8), st.booleans()), min_size=1, max_size=40))
def test_risk_and_coverage_by_the_definition(entities: Judged) -> None:
    found = calibration([judged_words(entities)])
    assert value(found, "aurc") == pytest.approx(area(entities))
    curve = rows_of(found, "risk_coverage")
    assert [row["position"] for row in curve] == [*range(1, N_POINTS + 1)]
    for row in curve:
        kept = [right for confidence, right in entities if confidence >= row["low"]]
        surer = [right for confidence, right in entities if confidence > row["low"]]
        assert row["n"] == len(kept)
        assert len(surer) * N_POINTS < row["position"] * len(entities) <= len(kept) * N_POINTS
        assert row["accuracy"] == pytest.approx(sum(kept) / len(kept))
        assert row["coverage"] == len(kept) / len(entities)


@pytest.mark.parametrize(("levels", "n"), [(None, 1000), (7, 1000), (40, 223)])
def test_bins_part_the_entities_and_never_equal_ones(levels: int | None, n: int) -> None:
    entities = entities_of(n, levels=levels)
    found = calibration([judged_words(entities)])
    bins = rows_of(found, "bin")
    full = [row for row in bins if row["n"]]
    assert [row["position"] for row in bins] == [*range(1, N_BINS + 1)]
    assert sum(row["n"] for row in bins) == n
    assert all(surer["low"] > row["high"] for surer, row in pairwise(full))
    for row in full:
        inside = [(confidence, right) for confidence, right in entities if row["low"] <= confidence <= row["high"]]
        assert row["n"] == len(inside)
        np.testing.assert_allclose([row["mean_confidence"], row["accuracy"]], np.mean(inside, axis=0))
    gaps = [row["n"] / n * abs(row["accuracy"] - row["mean_confidence"]) for row in full]
    assert value(found, "ece_equal_mass") == pytest.approx(sum(gaps))


@pytest.mark.parametrize("levels", [None, 5])
def test_the_order_of_entities_changes_nothing(levels: int | None) -> None:
    entities = entities_of(400, levels=levels)
    shuffled = [entities[i] for i in np.random.default_rng(1).permutation(400)]
    first, second = (calibration([judged_words(some)]) for some in (entities, shuffled))
    for one, other in zip(first.rows, second.rows, strict=True):
        assert one == pytest.approx(other)
    for name in METRICS:
        assert value(first, name) == pytest.approx(value(second, name))


def test_a_calibrated_model_and_a_boastful_one() -> None:
    honest, proud = entities_of(20_000), [(1.0, right) for _, right in entities_of(20_000)]
    share_wrong = np.mean([not right for _, right in proud])
    error = value(calibration([judged_words(honest)]), "ece_equal_mass")
    assert error is not None
    assert error < 0.015
    found = calibration([judged_words(proud)])
    for name in METRICS:
        assert value(found, name) == pytest.approx(share_wrong)


def test_a_perfect_model_is_best() -> None:
    found = calibration([judged_words([(1.0, True)] * 200)])
    assert {value(found, name) for name in METRICS} == {0.0}


def test_confidence_that_sorts_right_from_wrong_has_the_least_area() -> None:
    right, wrong = [(0.9 + i / 1e4, True) for i in range(80)], [(0.1 + i / 1e4, False) for i in range(20)]
    best, worst = (
        value(calibration([judged_words(some)]), "aurc")
        for some in (
            [*right, *wrong],
            [(1 - confidence, correct) for confidence, correct in [*right, *wrong]],
        )
    )
    assert best == pytest.approx(sum(k / (80 + k) for k in range(1, 21)) / 100)
    assert worst is not None
    assert worst > 0.4


@settings(max_examples=60, derandomize=True, deadline=None)
@given(annotated())
def test_entities_are_judged_by_their_least_sure_word(data: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, predicted, _ = data
    tagged = described(gold, predicted)
    assert tagged.score is not None
    starts = np.cumsum([0, *map(len, gold)])
    entities: dict[str, Judged] = {"overall": [], "LOC": [], "ORG": [], "PER": []}
    for ours, theirs in all_pairs(gold, predicted):
        if theirs:
            confidence = min(tagged.score[starts[theirs.sentence] :][theirs.start : theirs.end].tolist())
            for label in ("overall", theirs.type):
                entities[label].append((confidence, ours == theirs))
    found = calibration([tagged])
    for label, judged in entities.items():
        brier = np.mean([(confidence - right) ** 2 for confidence, right in judged]) if judged else None
        assert value(found, "brier", label) == (pytest.approx(brier) if judged else None)
        assert value(found, "aurc", label) == (pytest.approx(area(judged)) if judged else None)


def test_parts_add_up_and_counts_are_those_of_strict() -> None:
    gold, predicted = random_sentences(1, 400)
    tagged = described(gold, predicted)
    found = calibration(parts_of(tagged, 7, 8, 300))
    assert found == calibration([tagged])
    strict = counted(gold, predicted)["strict"]
    for column in ("tp", "n_pred"):
        by_type = totals(strict, column)
        assert {row["label"]: row[column] for row in found.metrics} == {
            "overall": sum(by_type.values()),
            **dict.fromkeys(tagged.types, 0),
            **by_type,
        }


def test_rows_are_those_of_the_tables() -> None:
    found = calibration([described(*random_sentences(1, 400))])
    declared = [name for name in schema("calibration").names if name not in {"run_date", *IDENTITY}]
    assert all(set(row) == set(declared) for row in found.rows)
    assert all(set(row) == set(ROW) <= set(schema("metrics").names) for row in found.metrics)
    assert {row["average"] for row in found.metrics if row["label"] == "overall"} == {"micro"}


def test_few_entities_have_no_bins_and_say_so() -> None:
    found = calibration([judged_words(entities_of(149))])
    rows = [row for row in found.metrics if row["metric"].startswith("ece") and row["label"] == "overall"]
    assert [(row["metric"], row["value"], row["status"], row["reason"]) for row in rows] == [
        (name, None, "undefined", "fewer than 150 entities are predicted")
        for name in ("ece_equal_mass", "ece_equal_width")
    ]
    assert rows_of(found, "bin") == []
    assert len(rows_of(found, "risk_coverage")) == N_POINTS


def test_a_model_that_predicts_nothing_has_rows_without_values() -> None:
    gold, _ = random_sentences(1, 20)
    found = calibration([described(gold, [["O"] * len(tags) for tags in gold])])
    assert found.rows == []
    assert found.reason is None
    assert {(row["value"], row["reason"]) for row in found.metrics} == {(None, "no entity is predicted")}
    assert len(found.metrics) == 4 * 4


def test_without_scores_there_is_a_reason_instead() -> None:
    found = calibration([paired(*random_sentences(1, 20))])
    assert found.rows == []
    assert found.reason == "the predictions have no scores"
    assert {(row["value"], row["status"], row["reason"]) for row in found.metrics} == {
        (None, "undefined", "the predictions have no scores")
    }


def test_an_entity_without_a_score_is_left_out() -> None:
    entities = [(0.5, True), (np.nan, False), (1.0, True)]
    assert value(calibration([judged_words(entities)]), "brier") == pytest.approx(0.125)


@pytest.mark.parametrize("levels", [None, 5])
@pytest.mark.parametrize("block", [7, 1 << 16])
def test_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch, levels: int | None, block: int) -> None:
    """The oracle sorts and sums whole arrays, with a stable sort, as the sums depend on the order of equal ones."""
    monkeypatch.setattr(arrow_cache, "_BLOCK", block)
    entities = [*entities_of(3_000, levels=levels), (0.0, True), (-0.0, False), (-0.25, False)]
    confidence, right = (np.array(column) for column in zip(*entities, strict=True))
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    n_as_sure = np.searchsorted(-confidence, -confidence, side="right")
    number = np.searchsorted(np.arange(1, N_BINS) / N_BINS, confidence, side="left")
    gaps = np.bincount(number, right - confidence, minlength=N_BINS)
    found = calibration([judged_words(entities[:1_000]), judged_words(entities[1_000:])])
    assert value(found, "brier") == np.mean((confidence - right) ** 2)
    assert value(found, "aurc") == np.mean(np.cumsum(~right)[n_as_sure - 1] / n_as_sure)
    assert value(found, "ece_equal_width") == np.abs(gaps).sum() / len(right)
    start = 0
    for row, at in zip(rows_of(found, "bin"), range(1, N_BINS + 1), strict=True):
        end = n_as_sure[-(-at * len(right) // N_BINS) - 1]
        if row["n"]:
            assert row["mean_confidence"] == confidence[start:end].mean()
            assert (row["low"], row["high"]) == (confidence[end - 1], confidence[start])
        start = end


def test_no_words_are_no_rows() -> None:
    found = calibration([])
    assert (found.rows, found.reason) == ([], None)
    assert {row["reason"] for row in found.metrics} == {"no entity is predicted"}
