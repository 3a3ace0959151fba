"""The baseline of each model: that of the gate, or the model itself in the previous run."""

import errno
import shutil
from pathlib import Path
from typing import IO, Any

import pytest
from reading import plain
from report_site import configuration, corpus, noisy, predict, record, run_of, score

from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.comparison.flips import Flips
from nerbench.tasks.report.baselines import Baseline, compare, find_baselines
from nerbench.tasks.report.model_scores import ModelScores, read_model_scores
from nerbench.tasks.report.report import build
from nerbench.tasks.results.query import select_runs


def of_night(results: str, night: int) -> list[ModelScores]:
    return read_model_scores(results, select_runs(results, [f"night-{night}"]))


def test_the_gate_s_baseline_is_that_of_every_annotation(nights: str) -> None:
    entries = of_night(nights, 2)
    judged = read_results(nights, "gate").to_pylist()
    found = find_baselines(nights, entries, judged)
    named = {(entries[at].name, entries[at].about["gold"]): one for at, one in found.items()}
    worse = named["<b>worse</b>", "own"]
    (base,) = [entry for entry in of_night(nights, 1) if entry.name == "<b>worse</b>" and entry.is_own_gold]
    assert worse.is_gate
    assert worse.about["artifact_id"] == base.about["artifact_id"]
    assert worse.about["value"] == base.number()
    assert named["good", "own"].about["predictions_digest"] == entries[0].about["predictions_digest"]
    # The baseline was not scored against the second annotation in this run: the previous run is used.
    assert not named["<b>worse</b>", "second"].is_gate
    assert named["<b>worse</b>", "second"].about["run_id"] == "night-1"


def test_models_without_flips_share_an_empty_table(nights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = of_night(nights, 2)
    made = []
    make = Flips.__init__
    monkeypatch.setattr(Flips, "__init__", lambda self: made.append(self) or make(self))
    baseline = Baseline(entries[0].about, is_gate=False)
    found = compare(nights, [entries[0]] * 9, dict.fromkeys(range(9), baseline))
    assert [list(one.flips) for one in found.values()] == [[]] * 9
    assert len(made) == 1


def test_flips_are_those_of_the_gate(nights: str) -> None:
    entries = of_night(nights, 2)
    judged = read_results(nights, "gate").to_pylist()
    found = find_baselines(nights, entries, judged)
    for at, compared in compare(nights, entries, found).items():
        rows = [row for row in judged if row["artifact_id"] == entries[at].about["artifact_id"]]
        if rows and entries[at].is_own_gold:
            expected = {kind: rows[0][kind] for kind in ("gained", "lost", "changed")}
            assert {kind: compared.flips.n(kind) for kind in expected} == expected
            assert compared.row is None


@pytest.fixture(scope="module")
def ungated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three runs without a gate: the second equals the first, the third is worse and has a new model."""
    results = str(tmp_path_factory.mktemp("ungated"))
    words, gold = corpus(documents=22)
    config = configuration(results, golds=[])
    steady, other = noisy(gold, 0.1, seed=2), noisy(gold, 0.2, seed=5)
    for night in (1, 2, 3):
        run = run_of(results, night)
        tags = noisy(steady, 0.3, seed=4) if night == 3 else steady
        score(run, predict(results, night, "old", 1 + (night == 3), words, gold, tags), config)
        if night == 3:
            score(run, predict(results, night, "new", 1, words, gold, other), config)
        record(run, config)
    return results


def test_without_a_gate_the_run_before_is_compared(ungated: str) -> None:
    second, third = build(ungated, ["night-2"]).verdict, build(ungated, ["night-3"]).verdict
    assert second.headline == "No gate is configured. Nothing changed since the run before."
    assert [line.text for line in second.lines] == ["no change since the run of 2030-01-01"]
    assert third.headline == "No gate is configured. 1 of 1 model changed since the run before."
    line, new = third.lines
    assert (new.model, new.status) == ("new", "none")
    assert new.text.startswith("nothing to compare with, F1 ")
    assert (line.model, line.status) == ("old", "bad")
    assert plain(line.text).startswith("F1 fell ")
    assert " since the run of 2030-01-02, " in line.text
    assert build(ungated, ["night-1"]).verdict.lines[0].text.startswith("F1 ")


def test_an_incomplete_run_is_no_baseline(ungated: str, tmp_path: Path) -> None:
    results = str(shutil.copytree(ungated, tmp_path / "copy"))
    for path in Path(results).glob("runs/*/date=2030-01-02/*.parquet"):
        path.unlink()
    line, _ = build(results, ["night-3"]).verdict.lines
    assert " since the run of 2030-01-01, " in line.text


def test_unreadable_predictions_are_reported(ungated: str, tmp_path: Path) -> None:
    results = str(shutil.copytree(ungated, tmp_path / "copy"))
    for path in Path(results).glob("predictions/*/date=2030-01-0[12]/*.parquet"):
        path.unlink()
    line, _ = build(results, ["night-3"]).verdict.lines
    assert line.status == "unsure"
    assert line.text.startswith("what flipped since the run of 2030-01-02 is not known: ")


def test_flips_without_room_are_reported(ungated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else in the report is in the results already."""

    def full(**options: Any) -> IO[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("nerbench.tasks.comparison.flips._IN_MEMORY", 1 << 12)  # more than a file without flips
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    line, new = build(ungated, ["night-3"]).verdict.lines
    assert line.status == "unsure"
    assert line.text.startswith("what flipped since the run of 2030-01-02 is not known: ")
    assert "No space left on device" in line.text
    assert new.text.startswith("nothing to compare with, F1 ")


def test_several_runs_are_one_report_of_the_newest_scores(ungated: str) -> None:
    report: Any = build(ungated, ["night-1", "night-3"])
    assert [(row.model, row.place) for row in report.board.rows] == [("old", "own"), ("new", "own"), ("old", "own")]
    assert len({row.artifact for row in report.board.rows}) == 3
