"""`nerbench history`: the table of all runs, and the overview."""

import json
from pathlib import Path

import pytest
from scored_runs import score as stored_score

from nerbench.artifacts.tables.tables import read_results, write_table
from nerbench.flows.cli import status_of
from nerbench.flows.commands.history import sparkline

GOLD = [["B-PER", "O"]]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four runs, with numbers that the helper does not write."""
    monkeypatch.chdir(tmp_path)
    for night, value in ((1, 0.5), (2, 0.625), (4, None), (5, 0.6)):
        stored_score("raw", night, GOLD, GOLD, version=1 + (night > 2), torch="2.13" if night < 5 else "2.14")
        for table in ("metrics", "runs"):
            for row in read_results("raw", table, filters=[("run_id", "=", f"night-{night}")]).to_pylist():
                moment = f"2030-01-{night:02}T02:00:00+00:00"
                row |= {"run_id": f"benchmark-nightly@{moment}"}
                if table == "metrics":
                    row |= {"value": value, "ci_low": value and value - 0.1, "ci_high": value and value + 0.1}
                    row |= {"reason": None if value else "nothing predicted"}
                write_table("results", table, [row], date=moment[:10], key=f"{table}-{night}")


def test_one_row_per_run_with_its_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["history", "tagger", "--results", "results"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "tagger: strict F1 on own test, in points"
    assert lines[1].split("  ")[0] == "date"
    assert lines[2].startswith("2030-01-01  50.00          40.00 … 60.00")
    assert lines[3].startswith("2030-01-02  62.50  +12.50  52.50 … 72.50")
    assert lines[4].split()[0:3] == ["2030-01-03", "no", "run"]
    assert "nothing predicted; model " in lines[5]
    assert "torch 2.13 → 2.14" in lines[6]
    assert "-2.50" in lines[6]
    assert lines[7:] == [
        "▁█··▇",
        "50.00 … 62.50, last 60.00 (+10.00 since 2030-01-01); 4 runs; 1 nightly run missing",
    ]


def test_json_has_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["history", "tagger", "--results", "results", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["metric"], found["label"]) == ("tagger", "f1", "overall")
    (series,) = found["series"]
    assert [point["value"] for point in series["points"]] == [0.5, 0.625, None, None, 0.6]
    assert series["points"][2] == {
        "date": "2030-01-03",
        "run_id": None,
        "value": None,
        "ci_low": None,
        "ci_high": None,
        "artifact_id": None,
        "change": None,
        "changed": [],
        "reason": "no run",
    }


@pytest.mark.parametrize("width", [40, 60, 80])
def test_narrow_terminals_keep_date_value_and_change(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    from nerbench.flows import terminal
    from nerbench.flows.commands import history

    def screen() -> Console:
        return Console(width=width, force_terminal=True, color_system=None, no_color=True)

    for module in (terminal, history):
        monkeypatch.setattr(module, "console", screen)
    assert status_of(["history", "tagger", "--results", "results"]) == 0
    out = capsys.readouterr().out.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[3m", "")
    lines = out.replace("\x1b[2m", "").splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.split()[:3] == ["2030-01-02", "62.50", "+12.50"] for line in lines)


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([0.0, 0.5, 1.0], 10, "▁▅█"),
        ([0.5, None, 0.5], 10, "▁·▁"),
        ([], 10, ""),
        ([None], 10, "·"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([0.0, None, None, None, 1.0, 1.0], 3, "▁·█"),
    ],
)
def test_sparklines(values: list[float | None], width: int, expected: str) -> None:
    assert sparkline(values, width) == expected


def test_unknown_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, says in (
        (("tager",), "choose among tagger"),
        (("tagger", "--label", "PRE"), "--label PRE"),
        (("tagger", "--since", "monday"), "YYYY-MM-DD"),
    ):
        assert status_of(["history", *arguments, "--results", "results"]) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert says in printed.err
