"""Intervals of numbers from counts: their documents, their method, and missing intervals."""

from dataclasses import replace

import numpy as np
import pytest
from tagging import TYPES, counted, random_sentences

from nerbench.tasks.scoring import score as module
from nerbench.tasks.scoring.counts import COLUMNS, OVERALL, Counts
from nerbench.tasks.scoring.metrics import BUILTIN, Quantity, Sums, quantities, ratio
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.score_intervals import (
    SYMMETRIC,
    WILSON,
    JackknifeIntervals,
    columns_of,
    statistics,
    too_few,
    unit_shares,
)
from nerbench.tasks.statistics.confidence_intervals import wilson

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


def test_an_interval_is_wilsons_of_the_corpus_without_each_document() -> None:
    """As if the corpus had been scored again without each of its documents."""
    asked = [quantity(COUNTS, OVERALL), quantity(COUNTS, "LOC", "precision")]
    loc = COUNTS.labels.index("LOC")
    without = []
    for document in range(50):
        tp, _, n_pred, n_gold, _ = np.delete(COUNTS.values, document, axis=0).sum(0).T
        without.append([2 * tp.sum() / (n_pred.sum() + n_gold.sum()), tp[loc] / n_pred[loc]])
    point = statistics(asked, COUNTS, columns_of(COUNTS).sum(0))
    size = COUNTS.column("n_gold") + COUNTS.column("n_pred")
    shares = np.column_stack([size.sum(1) / size.sum(), size[:, loc] / size[:, loc].sum()])
    low, high = wilson(point, np.array(without), shares, 0.9)
    found = JackknifeIntervals(0.9).of(COUNTS, asked)
    assert [one.low for one in found] == pytest.approx(low.tolist())
    assert [one.high for one in found] == pytest.approx(high.tolist())
    assert {one.method for one in found} == {WILSON}
    assert all(one.low < at < one.high for one, at in zip(found, point, strict=True) if one.low and one.high)


def test_every_number_has_an_interval_in_every_mode_and_average() -> None:
    for counts in EVERY.values():
        for label in (OVERALL, *TYPES):
            asked = quantities(counts, label)
            for one, found in zip(asked, JackknifeIntervals(0.95).of(counts, asked) if asked else [], strict=True):
                value = statistics([one], counts, columns_of(counts).sum(0))[0]
                assert found.reason or 0 <= (found.low or 0) <= value <= (found.high or 0) <= 1, one
    reasons = [one.reason for one in JackknifeIntervals(0.95).of(COUNTS, quantities(COUNTS, OVERALL))]
    assert reasons == [None] * 9


def test_intervals_do_not_depend_on_the_batch() -> None:
    asked = quantities(COUNTS, OVERALL)
    together = JackknifeIntervals(0.95).of(COUNTS, asked)
    assert [JackknifeIntervals(0.95).of(COUNTS, [one])[0] for one in asked] == together


def test_documents_without_the_label_change_nothing() -> None:
    more = replace(COUNTS, values=np.concatenate([COUNTS.values, np.zeros_like(COUNTS.values)]))
    more = replace(more, n_words=np.tile(COUNTS.n_words, 2))
    asked = quantities(COUNTS, OVERALL)
    for one, other in zip(*(JackknifeIntervals(0.95).of(counts, asked) for counts in (COUNTS, more)), strict=True):
        assert other[:2] == pytest.approx(one[:2], rel=1e-9)


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
def test_shares_are_averaged_as_the_number_is(average: str) -> None:
    size = COUNTS.column("n_gold") + COUNTS.column("n_pred")
    weights = {"micro": size.sum(0), "macro": np.ones(len(TYPES)), "weighted": COUNTS.column("n_gold").sum(0)}[average]
    expected = [
        sum(w * n / total for w, n, total in zip(weights, row, size.sum(0), strict=True)) / weights.sum()
        for row in size
    ]
    assert unit_shares(quantity(COUNTS, OVERALL, average=average), COUNTS) == pytest.approx(expected)
    assert sum(expected) == pytest.approx(1)


def test_a_number_that_is_not_a_share_has_a_symmetric_interval() -> None:
    def predicted_for_each(sums: Sums) -> np.ndarray:
        return ratio(sums.n_pred, sums.n_gold)

    own = replace(BUILTIN[0], name="rate", compute=predicted_for_each, share=False, source="my.py@0")
    asked = [one for one in quantities(COUNTS, OVERALL, [own]) if one.average == "micro"]
    (found,) = JackknifeIntervals(0.95).of(COUNTS, asked)
    (value,) = statistics(asked, COUNTS, columns_of(COUNTS).sum(0))
    assert found.method == SYMMETRIC
    assert (found.low + found.high) / 2 == pytest.approx(value)
    assert found.high > 1


def test_too_few_entities_have_a_reason_instead_of_an_interval() -> None:
    rare = COUNTS.values.copy()
    rare[:, COUNTS.labels.index("ORG"), COLUMNS.index("n_gold")] = 0
    rare[:2, COUNTS.labels.index("ORG"), COLUMNS.index("n_gold")] = [3, 40]
    counts = replace(COUNTS, values=rare)
    few, enough = JackknifeIntervals(0.95).of(
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


def test_a_perfect_model_has_an_interval_below_one() -> None:
    """No error in 50 documents does not mean no error in all documents."""
    gold, _ = random_sentences(5, 150)
    counts = counted(gold, gold, DOCUMENTS)["strict"]
    (found,) = JackknifeIntervals(0.95).of(counts, [quantity(counts, OVERALL)])
    assert found.high == 1
    assert found.low is not None
    assert 0.8 < found.low < 0.95


def test_a_number_undefined_without_one_document_has_no_interval() -> None:
    values = COUNTS.values.copy()
    values[1:, :, COLUMNS.index("n_pred")] = values[1:, :, COLUMNS.index("tp")] = 0
    counts = replace(COUNTS, values=values)
    (found,) = JackknifeIntervals(0.95).of(counts, [quantity(counts, OVERALL, "precision")])
    assert found == (None, None, None, "no interval: undefined without one of the documents")


def test_other_labels_change_no_bit_of_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for label in (OVERALL, *TYPES, "elsewhere"):
        rows = score(EVERY.values(), label, intervals=JackknifeIntervals(0.95))
        with monkeypatch.context() as patch:
            patch.setattr(module, "_of_labels", lambda counts, wanted: counts)
            assert score(EVERY.values(), label, intervals=JackknifeIntervals(0.95)) == rows
