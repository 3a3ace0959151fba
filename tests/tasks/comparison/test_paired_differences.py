"""Deltas against plain arithmetic: textbook entities, single resamples and swaps, Holm's correction step by step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from tagging import TYPES, Entity, Sentences, counted, random_sentences, textbook

from nerbench.tasks.comparison import paired_differences as module
from nerbench.tasks.comparison.paired_differences import deltas, slices_apart
from nerbench.tasks.scoring.counts import COLUMNS, Counts
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.statistics.confidence_intervals import interval
from nerbench.tasks.statistics.paired_tests import permuted
from nerbench.tasks.statistics.resampling import resampled

SEED, N_RESAMPLES, N_PERMUTATIONS = 7, 60, 90
N_DOCUMENTS = 40
DOCUMENTS = [n // 3 for n in range(3 * N_DOCUMENTS)]
GOLD, BASE = random_sentences(5, len(DOCUMENTS))
CANDIDATE = [gold if n % 4 == 0 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", N_RESAMPLES)
    monkeypatch.setattr(module, "PERMUTATIONS", N_PERMUTATIONS)


def strict(predicted: Sentences, gold: Sentences = GOLD) -> Counts:
    return counted(gold, predicted, DOCUMENTS)["strict"]


def by_name(rows: Sequence[Row]) -> dict[tuple[str, str, str], Row]:
    return {(row["label"], row["metric"], row["average"]): row for row in rows}


FOUND_BY_DOCUMENT = list[set[Entity]]


class Side(NamedTuple):
    """The entities of one model by document."""

    gold: FOUND_BY_DOCUMENT
    predicted: FOUND_BY_DOCUMENT


def found(sentences: Sentences, label: str) -> FOUND_BY_DOCUMENT:
    documents: FOUND_BY_DOCUMENT = [set() for _ in range(N_DOCUMENTS)]
    for entity in textbook(sentences, "strict"):
        if label in {entity.type, "overall"}:
            documents[DOCUMENTS[entity.sentence]].add(entity)
    return documents


def f1(sides: Sequence[Side], times: Sequence[int]) -> float:
    """F1 on a corpus with document i `times[i]` times, by the model of `sides[i]`."""
    right = sum(n * len(side.gold[i] & side.predicted[i]) for i, (side, n) in enumerate(zip(sides, times, strict=True)))
    there = sum(
        n * (len(side.gold[i]) + len(side.predicted[i])) for i, (side, n) in enumerate(zip(sides, times, strict=True))
    )
    return 2 * right / there


@pytest.mark.parametrize("label", ["overall", *TYPES])
def test_deltas_are_those_of_plain_arithmetic(label: str) -> None:
    base, candidate = (Side(found(GOLD, label), found(predicted, label)) for predicted in (BASE, CANDIDATE))
    once = [1] * N_DOCUMENTS

    def delta(times: Sequence[int]) -> float:
        return f1([candidate] * N_DOCUMENTS, times) - f1([base] * N_DOCUMENTS, times)

    def swapped(swaps: Sequence[int]) -> float:
        first, second = ([(base, candidate)[swap ^ side] for swap in swaps] for side in (0, 1))
        return f1(second, once) - f1(first, once)

    each = np.eye(N_DOCUMENTS)
    resamples = resampled(each, seed=SEED, n=N_RESAMPLES).astype(int)
    swaps = permuted(np.zeros_like(each), each, seed=SEED, n=N_PERMUTATIONS).base.astype(int)
    drawn = [delta(times) for times in resamples.tolist()]
    without = [delta([int(i != out) for i in range(N_DOCUMENTS)]) for out in range(N_DOCUMENTS)]
    as_far = sum(abs(swapped(swap)) >= abs(delta(once)) - 1e-12 for swap in swaps.tolist())
    row = by_name(deltas([strict(BASE)], [strict(CANDIDATE)], seed=SEED, confidence=0.9))[
        label, "f1", "micro" if label == "overall" else ""
    ]
    low, high = interval(np.array([delta(once)]), np.array([drawn]).T, np.array([without]).T, 0.9)
    expected = {
        "base": f1([base] * N_DOCUMENTS, once),
        "candidate": f1([candidate] * N_DOCUMENTS, once),
        "delta": delta(once),
        "ci_low": low[0],
        "ci_high": high[0],
        "p_value": (as_far + 1) / (N_PERMUTATIONS + 1),
        "detectable": (1.6448536 + 0.8416212) * np.std(drawn, ddof=1),
        "support": sum(map(len, base.gold)),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["ci_low"] < row["delta"] < row["ci_high"]
    assert row["reason"] is None


def test_swapped_runs_give_opposite_differences() -> None:
    there, back = (
        by_name(deltas([strict(one)], [strict(other)], seed=SEED, confidence=0.95))
        for one, other in ((BASE, CANDIDATE), (CANDIDATE, BASE))
    )
    assert there.keys() == back.keys()
    for name, row in there.items():
        assert (row["base"], row["delta"]) == (back[name]["candidate"], -back[name]["delta"])
        assert (row["p_value"], row["p_adjusted"]) == (back[name]["p_value"], back[name]["p_adjusted"])
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((-back[name]["ci_high"], -back[name]["ci_low"]))


def test_an_unchanged_model_differs_in_nothing() -> None:
    for row in deltas([strict(BASE)], [strict(BASE)], seed=SEED, confidence=0.95):
        assert (row["delta"], row["ci_low"], row["ci_high"], row["p_value"], row["p_adjusted"]) == (0, 0, 0, 1, 1)


def test_labels_are_one_family_without_overall() -> None:
    rows = deltas([strict(BASE)], [strict(CANDIDATE)], seed=SEED, confidence=0.95)
    assert [row["label"] for row in rows][:9] == ["overall"] * 9
    for metric in ("precision", "recall", "f1"):
        family = [row for row in rows if row["metric"] == metric and row["label"] != "overall"]
        assert len(family) == len(TYPES)
        least = 0.0
        for rank, row in enumerate(sorted(family, key=lambda row: row["p_value"])):
            least = max(least, min(1.0, (len(TYPES) - rank) * row["p_value"]))
            assert row["p_adjusted"] == pytest.approx(least)
    assert all(row["p_adjusted"] == row["p_value"] for row in rows if row["label"] == "overall")


def test_modes_and_slices_are_separate_families() -> None:
    pair = [strict(BASE), strict(CANDIDATE)]
    alone = deltas(pair[:1], pair[1:], seed=SEED, confidence=0.95)
    more = [[one, replace(one, slice="long"), replace(one, mode="conlleval")] for one in pair]
    together = deltas(*more, seed=SEED, confidence=0.95)
    assert len(together) == 3 * len(alone)
    assert [row for row in together if (row["mode"], row["slice"]) == ("strict", "all")] == alone


def test_a_label_of_one_run_has_no_value_in_the_other() -> None:
    whole = strict(CANDIDATE)
    values = whole.values.copy()
    values[:, whole.labels.index("ORG"), COLUMNS.index("n_gold")] = 0
    with_spurious = replace(whole, values=values)
    at = [i for i, label in enumerate(whole.labels) if label != "ORG"]
    without = replace(whole, labels=tuple(whole.labels[i] for i in at), values=values[:, at])
    for pair in ((without, with_spurious), (with_spurious, without)):
        rows = by_name(deltas(pair[:1], pair[1:], seed=SEED, confidence=0.95))
        row = rows["ORG", "precision", ""]
        assert (row["base"] is None, row["candidate"] is None) == (pair[0] is without, pair[1] is without)
        assert (row["delta"], row["ci_low"], row["p_value"], row["p_adjusted"]) == (None,) * 4
        assert row["reason"] == "nothing predicted"
        others = [rows[label, "f1", ""]["p_adjusted"] for label in TYPES if label != "ORG"]
        assert others == [1.0, 1.0]


def test_too_few_entities_have_a_p_value_and_a_reason() -> None:
    rare = [["O"] * len(tags) if n > 6 else tags for n, tags in enumerate(GOLD)]
    row = by_name(deltas([strict(BASE, rare)], [strict(rare, rare)], seed=SEED, confidence=0.95))[
        "overall", "f1", "micro"
    ]
    assert row["delta"] > 0 < row["p_value"]
    assert (row["ci_low"], row["ci_high"], row["detectable"]) == (None, None, None)
    assert "fewer than" in row["reason"]


def test_numbers_undefined_in_many_resamples_have_no_interval() -> None:
    values = strict(BASE).values.copy()
    values[:, :, COLUMNS.index("n_pred")] = values[:, :, COLUMNS.index("tp")] = 0
    values[0, :, COLUMNS.index("n_pred")] = 1
    once = replace(strict(BASE), values=values)
    right = values.copy()
    right[0, :, COLUMNS.index("tp")] = 1
    row = by_name(deltas([once], [replace(once, values=right)], seed=SEED, confidence=0.95))[
        "overall", "precision", "micro"
    ]
    assert (row["delta"], row["ci_low"]) == (1.0, None)
    assert row["reason"] == "undefined in too many resamples for an interval"


def test_slices_of_other_entities_are_left_out() -> None:
    one, other = strict(BASE), strict(BASE, BASE)
    base = [one, replace(one, slice="seen"), replace(one, slice="short"), replace(one, slice="gone")]
    candidate = [one, replace(other, slice="seen"), replace(one, slice="short")]
    assert {row["slice"] for row in deltas(base, candidate, seed=SEED, confidence=0.95)} == {"all", "short"}
    assert slices_apart(base, candidate) == ["gone", "seen"]
    assert slices_apart(base[:1], candidate[:1]) == []


def test_only_requested_numbers_are_computed() -> None:
    every = counted(GOLD, BASE, DOCUMENTS)
    rows = deltas(every.values(), every.values(), seed=SEED, confidence=0.95)
    assert {row["level"] for row in rows} == {"entity"}
    assert {row["mode"] for row in rows} == every.keys() - {"tag"}
    few = deltas(
        every.values(), every.values(), seed=SEED, confidence=0.95, wanted=lambda one: one.metric.name == "recall"
    )
    assert few == [row for row in rows if row["metric"] == "recall"]
