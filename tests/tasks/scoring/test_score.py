"""Rows from counts: their values, their intervals, and failing custom metrics."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from tagging import EVERY_MODE, Sentences, annotated, paired, random_sentences

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.counts import OVERALL, Counts, count
from nerbench.tasks.scoring.metrics import BUILTIN, OVERALL_WITH_O, Metric, Quantity, Row, Sums
from nerbench.tasks.scoring.score import ROW, score

EVERY = count([paired(*random_sentences(0, 10), list(range(10)))], modes=EVERY_MODE)


def own(compute: Any, **changes: Any) -> Metric:
    changes = {"share": False} | changes
    return replace(BUILTIN[0], name="mine", compute=compute, source="my.py@0", undefined="no value", **changes)


class Found(NamedTuple):
    low: float | None
    high: float | None
    method: str | None
    reason: str | None


class Around:
    """A fake with an interval around 0.5, but none for recall; it records the requests."""

    confidence = 0.9

    def __init__(self) -> None:
        self.asked: list[Quantity] = []

    def of(self, counts: Counts, quantities: Sequence[Quantity]) -> list[Found]:
        self.asked += quantities
        return [
            Found(None, None, None, "too few") if one.metric.name == "recall" else Found(0.4, 0.6, "around", None)
            for one in quantities
        ]


def test_differences_of_counts_can_be_negative() -> None:
    counts = count([paired([["B-PER", "O", "B-PER"]], [["B-PER", "O", "O"]], [0])])
    (row,) = score(counts[:1], "PER", metrics=[own(lambda sums: sums.n_pred - sums.n_gold)])
    assert row["value"] == -1


def test_a_row_identifies_its_number() -> None:
    counts = count([paired([["B-PER", "O", "B-LOC"]], [["B-PER", "B-PER", "I-LOC"]], [0])], modes=EVERY_MODE)
    assert score(counts[:1], "PER")[0] == {
        "slice": "all",
        "level": "entity",
        "mode": "strict",
        "label": "PER",
        "average": "",
        "metric": "precision",
        "parameters": None,
        "source": None,
        "value": 0.5,
        "ci_low": None,
        "ci_high": None,
        "ci_method": None,
        "confidence": None,
        "tp": 1,
        "n_partial": None,
        "n_pred": 2,
        "n_gold": 1,
        "n_invalid": 0,
        "support": 1,
        "n_documents": 1,
        "status": "ok",
        "reason": None,
    }
    micro = {row["mode"]: row for row in score(counts, OVERALL) if (row["metric"], row["average"]) == ("f1", "micro")}
    assert {mode: row["n_invalid"] for mode, row in micro.items()} == {
        **dict.fromkeys(("strict", "conlleval", "discard"), 1),
        **dict.fromkeys(("exact", "partial", "type", "span", "tag")),
    }
    assert {mode for mode, row in micro.items() if row["n_partial"] is not None} == {"partial"}


def test_rows_fit_the_table() -> None:
    assert ROW.keys() <= {column.name for column in TABLES["metrics"].columns}
    assert all(row.keys() == ROW.keys() for row in score(EVERY, OVERALL, intervals=Around()))


def test_without_documents_n_documents_is_null() -> None:
    assert {row["n_documents"] for row in score(count([paired([["O"]], [["O"]])]), OVERALL)} == {None}


def test_a_type_brings_its_tags_and_overall_the_tag_o() -> None:
    entity = ("strict", "conlleval", "discard", "exact", "partial", "type")
    labels = {label: {(r["mode"], r["label"]) for r in score(EVERY, label)} for label in ("PER", OVERALL)}
    assert labels["PER"] == {(mode, "PER") for mode in entity} | {("tag", "B-PER"), ("tag", "I-PER")}
    overall = {(mode, OVERALL) for mode in (*entity, "span", "tag")}
    assert labels[OVERALL] == overall | {("tag", OVERALL_WITH_O), ("tag", "O")}


def test_rows_have_the_counts_of_their_labels() -> None:
    (tokens,) = (one for one in count([paired([["O", "O", "B-PER"]], [["O", "B-PER", "O"]])]) if one.mode == "tag")
    rows = {(r["label"], r["average"], r["metric"]): r for r in score([tokens], OVERALL)}
    shown = {
        key: [rows[key][name] for name in ("tp", "n_pred", "n_gold")] for key in rows if key[1:] != ("", "accuracy")
    }
    assert shown[OVERALL, "micro", "accuracy"] == [1, 3, 3]
    assert shown[OVERALL, "macro", "f1"] == [0, 1, 1]
    assert shown[OVERALL_WITH_O, "micro", "f1"] == [1, 3, 3]
    assert shown["O", "", "f1"] == [1, 2, 2]


def test_slices_have_rows() -> None:
    sliced = replace(EVERY[0], slice="unseen")
    assert [row["slice"] for row in score([EVERY[0], sliced], "PER")] == ["all"] * 3 + ["unseen"] * 3


@settings(max_examples=40, deadline=None)
@given(annotated())
def test_every_row_is_consistent(example: tuple[Sentences, Sentences, list[int]]) -> None:
    counts = count([paired(*example)], modes=EVERY_MODE)
    rows = [row for label in (OVERALL, "LOC", "ORG", "PER") for row in score(counts, label)]
    keys = [(r["mode"], r["label"], r["average"], r["metric"]) for r in rows]
    assert len(set(keys)) == len(keys)
    tags = {row["label"] for row in rows if row["mode"] == "tag"}
    assert tags == {OVERALL, OVERALL_WITH_O, *tag_vocabulary(("LOC", "ORG", "PER"))}
    for row in rows:
        assert (row["value"] is None) == (row["status"] == "undefined") == (row["reason"] is not None)
        assert row["tp"] + (row["n_partial"] or 0) <= min(row["n_pred"], row["n_gold"])
        assert row["support"] == row["n_gold"]


def test_only_defined_values_have_intervals() -> None:
    around = Around()
    rows = score(EVERY, "ORG", intervals=around) + score(EVERY, "DATE", intervals=around)
    undefined = [row for row in rows if row["status"] == "undefined"]
    assert len(around.asked) == len(rows) - len(undefined) > 0
    assert undefined
    for row in rows:
        interval = [row[name] for name in ("ci_low", "ci_high", "ci_method", "confidence")]
        has_one = row["status"] == "ok" and row["metric"] != "recall"
        assert interval == ([0.4, 0.6, "around", 0.9] if has_one else [None] * 4)
        assert row["reason"] == (None if has_one else "too few" if row["status"] == "ok" else row["reason"])


def test_a_share_outside_its_range_fails() -> None:
    (row,) = (one for one in score(EVERY[:1], "PER", metrics=[own(lambda sums: sums.n_gold + 2.0, share=True)]))
    assert (row["value"], row["status"]) == (None, "failed")
    assert row["reason"].endswith("but share=True requires 0…1; leave share out")


def test_a_custom_metric_has_rows_beside_the_built_in_ones() -> None:
    def missed(sums: Sums, *, scale: int) -> Any:
        return (sums.n_gold - sums.tp) / sums.n_gold * scale

    around = Around()
    mine = own(missed, parameters={"scale": (1, 100)})
    rows = score(EVERY[:1], OVERALL, metrics=[*BUILTIN, mine], intervals=around)
    found = {(r["parameters"], r["average"]): r for r in rows if r["metric"] == "mine"}
    assert set(found) == {(f"scale={n}", average) for n in (1, 100) for average in ("micro", "macro", "weighted")}
    recall = next(r["value"] for r in rows if (r["metric"], r["average"]) == ("recall", "micro"))
    assert found["scale=100", "micro"]["value"] == pytest.approx(100 * (1 - recall))
    assert found["scale=1", "micro"]["source"] == "my.py@0"
    assert found["scale=1", "micro"]["ci_low"] == 0.4
    assert rows[:-6] == score(EVERY[:1], OVERALL, intervals=Around())


def fails(sums: Sums) -> Any:
    raise OSError("no\nsuch thing")


@pytest.mark.parametrize(
    ("compute", "status", "reason"),
    [
        (fails, "failed", "OSError: no such thing (test_score.py:"),
        (lambda sums: sums.n_words / 0, "failed", "it returned inf"),
        (lambda sums: sums.tp * np.nan, "undefined", "no value"),
        (lambda sums: "many", "failed", "ValueError: could not convert string to float: 'many'"),
        (lambda sums: np.zeros(7), "failed", "ValueError: "),
        (lambda sums: None, "undefined", "no value"),
        (lambda sums: 1 if sums.n_gold > 0 else 0, "failed", "ValueError: The truth value of an array"),
    ],
)
def test_a_failing_metric_has_rows_with_the_reason_and_stops_no_other(
    compute: Any, status: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        rows = score(EVERY[:1], "PER", metrics=[own(compute), *BUILTIN], intervals=Around())
    (row,) = (one for one in rows if one["metric"] == "mine")
    assert (row["value"], row["status"], row["ci_low"]) == (None, status, None)
    assert row["reason"].startswith(reason)
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ([f"metric mine of my.py@0 failed: {row['reason']}"] if status == "failed" else [])
    assert [one for one in rows if one is not row] == score(EVERY[:1], "PER", intervals=Around())


def test_a_built_in_metric_does_not_fail_silently() -> None:
    with pytest.raises(OSError, match="such thing"):
        score(EVERY[:1], "PER", metrics=[replace(BUILTIN[0], compute=fails)])


def test_an_interval_that_fails_leaves_the_value() -> None:
    class Broken(Around):
        def of(self, counts: Counts, quantities: Sequence[Quantity]) -> list[Found]:
            if any(one.metric.source for one in quantities):
                raise RuntimeError("odd resample")
            return super().of(counts, quantities)

    rows: list[Row] = score(EVERY[:1], "PER", metrics=[*BUILTIN, own(BUILTIN[0].compute)], intervals=Broken())
    row = rows[-1]
    assert (row["status"], row["ci_low"], row["reason"]) == ("ok", None, "no interval: RuntimeError: odd resample")
    assert row["value"] == rows[0]["value"]
    assert rows[0]["ci_low"] == 0.4
