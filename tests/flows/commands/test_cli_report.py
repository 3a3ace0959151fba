"""`nerbench report` in process: what it prints about many models."""

from pathlib import Path
from types import SimpleNamespace

import pytest

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
