"""`nerbench report` and `nerbench results runs` in process: what they print about many models and runs."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from scored_runs import write_run

from nerbench.flows.cli import status_of
from nerbench.flows.commands.report import MOST_LINES
from nerbench.tasks.report import report
from nerbench.tasks.report.verdict_text import Line, Verdict


@pytest.mark.parametrize(
    ("models", "last"), [(20, "  m19 on own: no change"), (1_020, "  and 1,000 more, which the report shows")]
)
def test_a_terminal_shows_the_worst_models_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models: int, last: str
) -> None:
    lines = [Line(f"m{number}", "own", "same", "no change") for number in range(models)]
    built = SimpleNamespace(html="<!doctype html>", runs=[], verdict=Verdict("same", "Nothing changed.", lines))
    monkeypatch.setattr(report, "build", lambda *_: built)
    assert status_of(["report", "-o", str(tmp_path / "report.html")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert (printed[0], printed[-1]) == ("Nothing changed.", last)
    assert len(printed) == 1 + MOST_LINES + (models > MOST_LINES)


def test_the_newest_runs_are_listed_with_what_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for night in range(1, 5):
        write_run(str(tmp_path), night, {}, outcome="ok", flow="benchmark", total_s=1.5)
    write_run(str(tmp_path), 5, {}, outcome="failed", failures="tiny: no room\nbig: gone")
    listing = ["results", "runs", "--results", str(tmp_path)]
    assert status_of([*listing, "--limit", "2"]) == 0
    printed = capsys.readouterr()
    _, newest, second = printed.out.splitlines()
    assert newest.split()[:3] == ["2030-01-05", "00:00", "night-5"]
    assert newest.rstrip().endswith("tiny, big")
    assert second.split()[2:6] == ["night-4", "benchmark", "ok", "1.50"]
    assert printed.err == "the newest 2 runs; --limit shows more\n"
    assert status_of([*listing, "--since", "2030-01-02", "--json"]) == 0
    assert [row["run_id"] for row in json.loads(capsys.readouterr().out)["runs"]] == [
        f"night-{n}" for n in (5, 4, 3, 2)
    ]
    assert status_of([*listing, "--limit", "0"]) == 2
    assert status_of(["results", "runs", "--results", str(tmp_path / "none")]) == 2
    assert "hold no run" in capsys.readouterr().err
