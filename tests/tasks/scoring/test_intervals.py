"""Intervals of numbers made of counts: whose resamples they share, and when there is none."""

from dataclasses import replace

import numpy as np
import pytest
from tagging import TYPES, counted, random_sentences

from tasks.scoring import intervals as module
from tasks.scoring.counts import COLUMNS, OVERALL, Counts
from tasks.scoring.intervals import RESAMPLES, UNSTABLE, BootstrapIntervals, columns_of, statistics, too_few
from tasks.scoring.metrics import Quantity, quantities
from tasks.statistics.bootstrap import left_out, resampled
from tasks.statistics.intervals import interval

DOCUMENTS = [n // 3 for n in range(150)]
EVERY = counted(*random_sentences(5, 150), DOCUMENTS)
COUNTS = EVERY["strict"]


def quantity(counts: Counts, label: str, metric: str = "f1", average: str = "micro") -> Quantity:
    average = average if label == OVERALL else ""
    wanted = (metric, average)
    return next(one for one in quantities(counts, label) if (one.metric.name, one.average) == wanted)


def test_columns_are_all_counts_of_a_unit_and_its_words() -> None:
    columns = columns_of(COUNTS)
    assert columns.shape == (50, len(TYPES) * len(COLUMNS) + 1)
    assert columns[7, len(COLUMNS) + COLUMNS.index("n_pred")] == COUNTS.column("n_pred")[7, 1]
    assert columns[:, -1].tolist() == COUNTS.n_words.tolist()


def test_statistics_of_sums_are_the_scores() -> None:
    asked = [quantity(COUNTS, OVERALL), quantity(COUNTS, "PER", "recall"), quantity(EVERY["tag"], OVERALL, "accuracy")]
    tp, n_pred, n_gold = (COUNTS.column(name).sum(0) for name in ("tp", "n_pred", "n_gold"))
    found = statistics(asked[:2], COUNTS, columns_of(COUNTS).sum(0))
    at = COUNTS.labels.index("PER")
    assert found == pytest.approx([2 * tp.sum() / (n_pred.sum() + n_gold.sum()), tp[at] / n_gold[at]])
    tags = EVERY["tag"]
    right = tags.column("tp").sum() / tags.n_words.sum()
    assert statistics(asked[2:], tags, columns_of(tags).sum(0)) == pytest.approx([right])
    assert statistics(asked[:2], COUNTS, np.stack([columns_of(COUNTS)] * 3)).shape == (3, 50, 2)


def test_an_interval_is_that_of_the_corpus_resampled() -> None:
    """Label and overall from the same weights: as if the corpus had been drawn, then scored."""
    asked = [quantity(COUNTS, OVERALL), quantity(COUNTS, "LOC", "precision")]
    weights = resampled(np.eye(50), seed=5, n=RESAMPLES).astype(int)
    drawn = []
    for times in weights:
        corpus = np.repeat(COUNTS.values, times, axis=0).sum(0)
        tp, _, n_pred, n_gold, _ = corpus.T
        loc = COUNTS.labels.index("LOC")
        drawn.append([2 * tp.sum() / (n_pred.sum() + n_gold.sum()), tp[loc] / n_pred[loc]])
    point = statistics(asked, COUNTS, columns_of(COUNTS).sum(0))
    without = statistics(asked, COUNTS, left_out(columns_of(COUNTS)))
    low, high = interval(point, np.array(drawn), without, 0.9)
    found = BootstrapIntervals([COUNTS], seed=5, confidence=0.9).of(COUNTS, asked)
    assert [one.low for one in found] == pytest.approx(low.tolist())
    assert [one.high for one in found] == pytest.approx(high.tolist())
    assert all(one.low < at < one.high for one, at in zip(found, point, strict=True) if one.low and one.high)
    other = BootstrapIntervals([COUNTS], seed=6, confidence=0.9).of(COUNTS, asked)
    assert found != other


def test_what_is_asked_together_changes_nothing() -> None:
    asked = quantities(COUNTS, OVERALL)
    together = BootstrapIntervals([COUNTS], seed=5, confidence=0.95).of(COUNTS, asked)
    for one, expected in zip(asked, together, strict=True):
        (alone,) = BootstrapIntervals([COUNTS], seed=5, confidence=0.95).of(COUNTS, [one])
        assert alone[:2] == pytest.approx(expected[:2])


def test_labels_draw_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def noted(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        return resampled(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "resampled", noted)
    found = BootstrapIntervals(list(EVERY.values()), seed=5, confidence=0.95)
    for label in (OVERALL, *TYPES):
        asked = quantities(COUNTS, label)
        assert found.of(COUNTS, asked) == BootstrapIntervals([COUNTS], seed=5, confidence=0.95).of(COUNTS, asked)
    found.of(EVERY["conlleval"], quantities(EVERY["conlleval"], OVERALL))
    assert len(calls) == 1 + len((OVERALL, *TYPES))


def test_too_little_has_no_interval_but_a_reason() -> None:
    rare = COUNTS.values.copy()
    rare[:, COUNTS.labels.index("ORG"), COLUMNS.index("n_gold")] = 0
    rare[:2, COUNTS.labels.index("ORG"), COLUMNS.index("n_gold")] = [3, 40]
    counts = replace(COUNTS, values=rare)
    few, enough = BootstrapIntervals([counts], seed=5, confidence=0.95).of(
        counts, [quantity(counts, "ORG", "recall"), quantity(counts, "PER", "recall")]
    )
    assert (few.low, few.high) == (None, None)
    assert few.reason == too_few(counts, quantity(counts, "ORG"))
    assert "fewer than" in str(few.reason)
    assert enough.reason is None


def test_overall_counts_all_labels() -> None:
    few = replace(COUNTS, values=COUNTS.values[:, :, :] * (np.arange(50) < 18)[:, None, None])
    assert "18" in str(too_few(few, quantity(few, OVERALL)))
    assert too_few(COUNTS, quantity(COUNTS, OVERALL)) is None


def test_a_perfect_model_has_no_interval() -> None:
    gold, _ = random_sentences(5, 150)
    counts = counted(gold, gold, DOCUMENTS)["strict"]
    (found,) = BootstrapIntervals([counts], seed=5, confidence=0.95).of(counts, [quantity(counts, OVERALL)])
    assert (found.low, found.high) == (None, None)
    assert "the same in every resample" in str(found.reason)


def test_what_is_undefined_in_many_resamples_has_no_interval() -> None:
    values = COUNTS.values.copy()
    values[1:, :, COLUMNS.index("n_pred")] = values[1:, :, COLUMNS.index("tp")] = 0
    counts = replace(COUNTS, values=values)
    (found,) = BootstrapIntervals([counts], seed=5, confidence=0.95).of(
        counts, [quantity(counts, OVERALL, "precision")]
    )
    assert found == (None, None, UNSTABLE)
