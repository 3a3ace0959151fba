"""Values of benchmark functions, compared with earlier ones."""

from pathlib import Path
from typing import Any

import pytest
from reading import Page, plain
from report_site import EVIL, EVIL_TYPE, call, record, run_of

from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config
from nerbench.tasks.report import function_values as module
from nerbench.tasks.report.formats import amount, change
from nerbench.tasks.report.function_values import Value, compare_values
from nerbench.tasks.report.report import build


def values_of(results: str, *nights: int) -> dict[tuple[str, str, str], Value]:
    rows: list[dict[str, Any]] = []
    for night in nights:
        rows += read_results(results, "custom", filters=[("run_id", "=", f"night-{night}")]).to_pylist()
    found = compare_values(results, rows)
    return {(one.name, one.parameters, one.model): one for one in found}


def test_a_value_is_compared_with_the_previous_run(nights: str) -> None:
    found = values_of(nights, 2)
    assert list(found) == [
        ("answer", "", ""),
        ("fails", f"k={EVIL_TYPE}", ""),
        *(("forward", f"batch={n}", model) for n in (1, 8) for model in ("<b>worse</b>", "good")),
    ]
    forward = found["forward", "batch=8", "good"]
    assert (forward.value, forward.before, forward.change, forward.since) == (4.0, 2.0, 2.0, "2030-01-01")
    assert (forward.unit, forward.place) == ("s", "")
    assert found["answer", "", ""].change == 0
    failed = found["fails", f"k={EVIL_TYPE}", ""]
    assert (failed.value, failed.before, failed.change, failed.reason) == (None, None, None, EVIL[2])


def test_the_first_run_has_nothing_before_it_and_of_two_the_newest_counts(nights: str) -> None:
    assert {one.since for one in values_of(nights, 1).values()} == {""}
    assert values_of(nights, 2, 1) == values_of(nights, 2)


def test_a_run_that_never_ended_and_another_unit_are_no_predecessors(tmp_path: Path) -> None:
    results = str(tmp_path / "results")
    for night in (1, 2, 3):
        run = run_of(results, night)
        call(run, {"good": 1}, float(night))
        if night != 2:
            record(run, Config())
    assert values_of(results, 3)["forward", "batch=1", "good"].before == 1.0
    rows = read_results(results, "custom", filters=[("run_id", "=", "night-3")]).to_pylist()
    assert {one.before for one in compare_values(results, [row | {"unit": "ms"} for row in rows])} == {None}


def test_parameters_that_another_program_wrote_are_shown_as_they_are(tmp_path: Path, nights: str) -> None:
    rows = read_results(nights, "custom", filters=[("run_id", "=", "night-2")]).to_pylist()
    assert {one.parameters for one in compare_values(nights, [row | {"parameters": "{k"} for row in rows])} == {"{k"}


def test_the_page_shows_values_changes_and_failures_as_text(nights: str) -> None:
    said = plain(Page(build(nights).html).said)
    assert "function parameters model value change since answer 42 0 2030-01-01" in said
    assert f"fails k={EVIL_TYPE} {EVIL[2]} forward batch=1 <b>worse</b> 0.5 s +0.25 (+100.0 %) 2030-01-01" in said


def test_many_values_are_folded_and_too_many_left_out(nights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Page(build(nights).html)
    assert "6 values of 3 functions" not in short.said
    for name, value in (("FEW", 5), ("MOST", 5)):
        monkeypatch.setattr(f"nerbench.tasks.report.page.{name}", value)
    long = Page(build(nights).html)
    assert "The page shows 5 of 6 values" in long.said
    assert "6 values of 3 functions" in long.said
    assert long.said.count("forward") == short.said.count("forward") - 1
    assert module.MOST > 5


def test_amounts_and_changes() -> None:
    assert [amount(n) for n in (None, 42.0, 90_345_123.0, 0.1 + 0.2, -1.5, 1e20)] == [
        *("–", "42", "90,345,123", "0.3", "−1.5", "1e+20")
    ]
    pairs = ((2.0, 2.0), (3.0, 2.0), (1.0, -2.0), (5.0, 0.0), (0.5, 2.0))
    assert [change(*pair) for pair in pairs] == ["0", "+1 (+50.0 %)", "+3 (+150.0 %)", "+5", "−1.5 (−75.0 %)"]
