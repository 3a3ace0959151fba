"""The drops on a page: the table and the chart have the numbers of the table `robustness`, and nothing runs."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from reading import Page
from report_site import EVIL_TYPE, digest, run_of

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.report.report import build
from nerbench.tasks.report.robustness import read_robustness
from nerbench.tasks.results.query import SelectedRun, select_runs

MODEL = "<b>worse</b>"


def drop(night: int, perturbation: str, delta: float | None, label: str = "overall", **more: Any) -> dict[str, Any]:
    found = {"artifact_id": digest(MODEL, 2), "model": MODEL, "dataset": "own", "split": "test", "dtype": "fp32"}
    found |= {"perturbation": perturbation, "label": label, "clean": 0.9, "changed_words": 1234, "evaluate_s": 4.5}
    found |= {"delta": delta, "perturbed": None if delta is None else 0.9 + delta, "p_adjusted": 0.03}
    found |= dict.fromkeys(("ci_low", "ci_high", "reason"))
    return run_of("", night).columns | found | more


@pytest.fixture
def results(nights: str, tmp_path: Path) -> str:
    found = str(shutil.copytree(nights, tmp_path / "results"))
    for night, lost in ((1, 0.2), (2, 0.4)):
        rows = [
            drop(night, "lower", -lost, ci_low=-lost - 0.05, ci_high=-lost + 0.05),
            drop(night, "lower", -0.3, EVIL_TYPE),
            drop(night, "ocr", None, reason="too few"),
        ]
        write_table(found, "robustness", rows, date=f"2030-01-0{night}", key="r")
    return found


def test_the_section_has_the_drops_of_the_run(results: str, nights: str) -> None:
    page = Page(build(results).html)
    assert "lower 1,234 90.00 50.00 −40.00 −45.00 … −35.00 0.03" in page.said
    assert "ocr 1,234 90.00 – – too few" in page.said
    first, second = page.block("robustness")
    assert (first["model"], first["perturbation"], first["delta"], first["low"]) == (MODEL, "lower", -40.0, -45.0)
    assert second["delta"] is None
    assert "drops" in {one.get("id") for one in page.named("figure")}
    assert "b" not in {tag for tag, attributes in page.tags if attributes.get("id") == "robustness"}
    assert "Robustness" not in Page(build(nights).html).said


def test_of_two_runs_the_newest_counts_and_their_costs_are_added(results: str) -> None:
    rows = [drop(2, "lower", -0.4), drop(1, "lower", -0.2), drop(1, "ocr", -0.1)]
    runs = [
        SelectedRun(run.run_id, run.date, run.started_at, dict(run.row) | {"robustness_s": 1.5})
        for run in select_runs(results, ["night-1", "night-2"])
    ]
    found = read_robustness(rows, runs)
    assert [(one.perturbation, one.delta) for one in found.drops] == [("lower", -40.0), ("ocr", -10.0)]
    assert found.seconds == 3.0
    assert read_robustness([], select_runs(results)).seconds is None
