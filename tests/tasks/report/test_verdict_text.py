"""Verdicts as sentences, for rows of the gate and runs without a gate."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from reading import plain

from nerbench.tasks.report.verdict_text import Verdict, entities, find_verdict, in_words
from nerbench.tasks.results.query import SelectedRun

RUN = SelectedRun("night", "2030-01-02", datetime(2030, 1, 2, tzinfo=UTC), {"outcome": "ok"})


def rule(model: str = "l3", **changes: Any) -> dict[str, Any]:
    """A passing row of the gate without flips."""
    known = {"kind": "rule", "run_id": "night", "model": model, "artifact_id": f"new {model}", "baseline": "champion"}
    known |= {"baseline_artifact_id": f"old {model}", "dataset": "own", "gold": "own", "mode": "strict", "slice": "all"}
    known |= {"label": "overall", "metric": "f1", "delta": 0.0, "ci_low": 0.0, "ci_high": 0.0, "confidence": 0.95}
    known |= {
        "verdict": "pass",
        "failed": False,
        "reason": None,
        "gained": 0,
        "lost": 0,
        "changed": 0,
        "promoted": None,
    }
    return known | changes


def fell(points: float, low: float, high: float, **changes: Any) -> dict[str, Any]:
    """A row that fell by some points, with the interval of the difference."""
    numbers = {"delta": -points / 100, "ci_low": -high / 100, "ci_high": -low / 100}
    return rule(**({"verdict": "regression", "failed": True} | numbers | changes))


def verdict(*judged: dict[str, Any], run: SelectedRun = RUN, has_gate: bool = True) -> Verdict:
    return find_verdict([], {}, judged, [run], has_gate=has_gate)


def test_the_example_of_the_first_screen() -> None:
    found = verdict(
        rule("minilm-l6"),
        fell(1.9, 0.8, 3.1, model="minilm-l3", label="ORG", metric="recall", lost=41),
    )
    assert found.headline == "The gate rejects minilm-l3."
    assert [(line.model, line.status, plain(line.text)) for line in found.lines] == [
        ("minilm-l3", "bad", "ORG recall fell 1.9 points (95 % CI 0.8…3.1), 41 entities lost"),
        ("minilm-l6", "same", "no change"),
    ]
    assert found.status == "bad"
    assert plain(found.sentence).endswith("41 entities lost; minilm-l6: no change")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (fell(0.42, -0.13, 1.2), "F1 fell 0.4 points (95 % CI −0.1…1.2)"),
        (rule(delta=0.012, ci_low=0.003, ci_high=0.02), "F1 rose 1.2 points (95 % CI 0.3…2.0)"),
        (rule(delta=0.012, ci_low=None, ci_high=None, label="PER"), "PER F1 rose 1.2 points"),
        (
            fell(2, 1, 3, slice="unseen", mode="conlleval"),
            "F1 on unseen entities (conlleval) fell 2.0 points (95 % CI 1.0…3.0)",
        ),
        (rule(delta=None, reason="undefined"), "F1: undefined"),
        (rule(), "F1 did not move"),
    ],
)
def test_a_number_in_words(row: dict[str, Any], words: str) -> None:
    assert plain(in_words(row)) == words


@pytest.mark.parametrize(
    ("rows", "headline", "text"),
    [
        (
            [rule(gained=3, lost=2)],
            "The gate passes: no model",
            "no change beyond the margin, 2 entities lost, 3 gained",
        ),
        (
            [fell(0.4, -0.1, 1.2, verdict="undecided", failed=False, changed=1)],
            "The gate passes, but is undecided about l3.",
            "undecided: F1 fell 0.4 points (95 % CI −0.1…1.2), 1 entity predicted otherwise",
        ),
        (
            [fell(0.9, -0.1, 1.9, verdict="undecided", failed=True, changed=1)],
            "The gate rejects l3. It is undecided about l3.",
            "undecided: F1 fell 0.9 points (95 % CI −0.1…1.9), 1 entity predicted otherwise",
        ),
        (
            [rule(verdict="improvement", delta=0.02, ci_low=0.01, ci_high=0.03, gained=1)],
            "The gate passes, with an improvement.",
            "F1 rose 2.0 points (95 % CI 1.0…3.0), 1 entity gained",
        ),
        (
            [rule(verdict="missing", failed=True, delta=None, reason="there are no scores to be judged")],
            "The gate rejects l3.",
            "no number: there are no scores to be judged",
        ),
        (
            [rule(kind="frozen", verdict="regression", failed=True, reason="it changed its mind")],
            "The gate rejects l3.",
            "it changed its mind",
        ),
        ([rule(kind="promotion", promoted=True)], "The gate passes, with an improvement.", "became champion"),
        ([rule(kind="promotion", promoted=False)], "The gate passes: no model", "did not become champion"),
    ],
)
def test_verdicts_of_a_gate(rows: list[dict[str, Any]], headline: str, text: str) -> None:
    found = verdict(*rows)
    assert found.headline.startswith(headline)
    assert [plain(line.text) for line in found.lines] == [text]


def test_the_worst_drop_is_first_and_two_versions_are_distinguished() -> None:
    found = verdict(
        fell(1, 0.5, 2),
        fell(5, 4, 6, label="ORG"),
        rule(artifact_id="other", verdict="missing", failed=True, delta=None),
    )
    assert [line.model for line in found.lines] == ["l3@new l3", "l3@other"]
    assert plain(found.lines[0].text).startswith("ORG F1 fell 5.0 points (95 % CI 4.0…6.0); F1 fell 1.0 points")


def test_many_models_are_counted_in_the_headline() -> None:
    found = verdict(*(fell(1, 0.5, 2, model=f"m{n}", artifact_id=str(n)) for n in range(6)))
    assert found.headline == "The gate rejects m0, m1, m2, m3 and 2 more."


def test_without_a_gate_the_page_states_that_nothing_is_compared() -> None:
    assert verdict(has_gate=False).headline == "No gate is configured. There is no earlier run to compare with."
    failed = RUN._replace(row={"outcome": "failed"})
    found = verdict(run=failed)
    assert found.headline == "The gate compared no model. There is no earlier run to compare with. The run failed."
    assert found.status == "bad"


FAILURE = "tiny: RunFailedError: /home/me/cache/x.bin cannot be written: No space left"


@pytest.mark.parametrize(
    ("failures", "configured", "headline"),
    [
        (FAILURE, ["tiny"], "1 of 1 model failed: tiny: RunFailedError: …/x.bin cannot be written: No space left."),
        (FAILURE, [], "1 failed: tiny: RunFailedError: …/x.bin cannot be written: No space left."),
        ("a: no\nb: no\nc: no\nd: no", [*"abcd"], "4 of 4 models failed: a: no; b: no; c: no; and 1 more."),
        ("gate, a: regression", ["a"], ""),
    ],
)
def test_the_headline_begins_with_the_failures(failures: str, configured: list[str], headline: str) -> None:
    configuration = json.dumps({"models": [{"name": name} for name in configured]})
    failed = RUN._replace(row={"outcome": "failed", "failures": failures, "configuration": configuration})
    found = verdict(run=failed)
    if headline:
        assert found.headline.startswith(headline)
    else:
        assert found.headline.endswith("The run failed.")
    assert found.status == "bad"


def test_entities_are_counted_in_words() -> None:
    assert entities(0, 0, 0) == entities(None, None, None) == ""
    assert entities(1234, 1, 5) == "1 entity lost, 1,234 gained, 5 predicted otherwise"
