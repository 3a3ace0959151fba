"""Tables in terminals of every width: complete numbers, no markup; the effects of -q and -v."""

import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from nerbench.flows import terminal
from nerbench.flows.cli import status_of
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import console, echo, print_json, print_note, print_scores, print_table, set_verbosity

NAMES = ("precision", "recall", "F1", "conlleval", "LOC", "MISC", "ORG", "PER")
LEADERS = [
    {"model": f"tagger-{size}", "dataset": "own", "gold": "own"} | {name: 80 + i / 7 for i, name in enumerate(NAMES)}
    for size in ("small", "large")
]
Printed = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def _normal() -> Iterator[None]:
    yield
    set_verbosity("normal")


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """The lines printed to a terminal of a width."""

    def lines(width: int, show: Callable[..., None], *arguments: Any, **options: Any) -> list[str]:
        stream = io.StringIO()
        screen = Console(file=stream, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(terminal, "console", lambda: screen)
        show(*arguments, **options)
        return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in stream.getvalue().splitlines()]

    return lines


@pytest.mark.parametrize("width", [20, 40, 60, 80, 160])
def test_a_leaderboard_fits_with_every_number_whole(printed: Printed, width: int) -> None:
    lines = printed(width, print_scores, LEADERS)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for row in LEADERS:
        assert row["model"] in text
        assert all(f"{row[name]:.2f}" in text for name in ("F1", "LOC", "MISC", "ORG", "PER"))  # type: ignore[str-format]
    assert "…" not in text


def test_lines_are_those_of_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    styled = Text("-1.00", justify="right", style="red")
    rows = [
        {"name": "ä漢字[b]", "n": 1, "share": 0.5, "change": styled, "empty": None},
        {"name": "a long name", "n": None, "share": None, "change": None, "late": "x"},
    ]

    def shown(width: int) -> str:
        stream = io.StringIO()
        screen = Console(file=stream, width=width, force_terminal=True, color_system="truecolor")
        monkeypatch.setattr(terminal, "console", lambda: screen)
        print_table(rows, title="a title")
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())

    lines = shown(100)
    monkeypatch.setattr(terminal._Lines, "is_plain", False)
    assert lines == shown(100)
    assert len(lines.splitlines()) == 4


def test_columns_stay_aligned_below_headings_with_control_characters(printed: Printed) -> None:
    heading, row = printed(100, print_table, [{"a\x1bb": "v", "n": "w"}])
    assert heading.split() == ["a\\x1bb", "n"]
    assert heading.index("n") == row.index("w")


def test_a_wide_terminal_gets_a_table_and_a_narrow_one_a_block_per_model(printed: Printed) -> None:
    wide = printed(160, print_scores, LEADERS)
    assert wide[1].split() == ["model", *NAMES]
    assert len(wide) == 4
    middle = printed(60, print_scores, LEADERS)
    assert middle[1].split() == ["model", *(name for name in NAMES if name not in ("conlleval", "precision"))]
    narrow = printed(40, print_scores, LEADERS)
    assert narrow[1:3] == ["tagger-small", "  precision   80.00"]
    assert [line.split()[0] for line in narrow[2:10]] == list(NAMES)


def test_columns_are_left_out_if_their_headings_do_not_fit(printed: Printed) -> None:
    rows = [{"model": "tiny-bert-1layer", "device": "cpu", "load s": 0.5, "peak over baseline MB": 31.62}]
    lines = printed(45, print_table, rows, optional=("device", "load s"))
    assert [line.split() for line in lines] == [
        ["model", "peak", "over", "baseline", "MB"],
        ["tiny-bert-1layer", "31.62"],
    ]


def test_text_breaks_between_words_and_data_is_not_markup(printed: Printed) -> None:
    rows = [{"name": "[bold]x[/bold] [/]", "n": 1234567, "about": "several words that have to wrap somewhere here"}]
    lines = printed(40, print_table, rows)
    assert max(map(len, lines)) <= 40
    assert "1234567" in "\n".join(lines)
    assert "[bold]x[/bold]" in "\n".join(lines)
    assert "wrap" in "\n".join(lines)


def test_a_styled_cell_keeps_its_side(printed: Printed) -> None:
    rows = [{"a": Text("+1.00", justify="right")}, {"a": Text("-10.00", justify="right")}]
    assert printed(80, print_table, rows) == ["     a", " +1.00", "-10.00"]


def test_output_to_a_pipe_is_not_truncated(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    print_scores(LEADERS)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [
        ("quiet", ""),
        ("normal", "said\nwarning: a warning\n"),
        ("verbose", "said\nworking\na step\na warning\n1 of 2\n"),
    ],
)
def test_progress_without_a_terminal(
    verbosity: Any, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    set_verbosity(verbosity)
    print_note("said")
    with show_progress():
        logging.getLogger("nerbench.tasks.anything").info("a step")
        logging.getLogger("nerbench.tasks.anything").warning("a warning")
        logging.getLogger("nerbench.progress").info("1 of 2")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", expected)


@pytest.mark.parametrize(("verbosity", "expected"), [("quiet", ""), ("normal", "30 of 90\n60 of 90\n")])
def test_a_log_gets_a_line_of_progress_every_half_minute(
    verbosity: Any, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("nerbench.tasks.progress.time.monotonic", lambda: now)
    set_verbosity(verbosity)
    with show_progress():
        for done in range(0, 90, 10):
            now = float(done)
            logging.getLogger("nerbench.progress").info("%d of 90", done)
    assert capsys.readouterr().err == expected


def test_a_failure_is_printed_even_with_q(capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(["artifacts", "show", "nobody", "-q"]) == 2
    assert "nobody" in capsys.readouterr().err
    assert status_of(["artifacts", "ls", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert status_of(["artifacts", "ls"]) == 0
    assert "no artifacts yet" in capsys.readouterr().err
    assert status_of(["artifacts", "ls", "-q", "-v"]) == 2
    assert "contradict" in capsys.readouterr().err


HOSTILE = "PER\x1b[2J\x9b31m\u202e"
SHOWN = r"PER\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize("colours", [True, False])
def test_printed_text_contains_no_control_sequences(
    colours: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    if colours:
        monkeypatch.setenv("FORCE_COLOR", "1")
    else:
        monkeypatch.delenv("FORCE_COLOR", raising=False)
    print_table([{"label": HOSTILE, HOSTILE: Text(HOSTILE, style="bold")}], title=HOSTILE)
    print_table([dict.fromkeys(("a", "b", "c", HOSTILE), HOSTILE)] * 2)
    console().print(Text(HOSTILE))
    console().print(HOSTILE)
    echo(HOSTILE)
    print_note(HOSTILE)
    with show_progress():
        logging.getLogger("nerbench.tasks.anything").warning("%s", HOSTILE)
    printed = capsys.readouterr()
    everything = printed.out + printed.err
    assert everything.count(SHOWN) >= 12
    assert "\x1b[2J" not in everything
    assert not {"\x9b", "\u202e"} & set(everything)
    assert ("\x1b[1m" in printed.out) is colours, "our own styles stay"
    print_json({"label": HOSTILE})
    assert capsys.readouterr().out == '{"label": "PER\\u001b[2J\\u009b31m\\u202e"}\n'


def test_a_traceback_contains_no_control_sequences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise ZeroDivisionError(HOSTILE)

    monkeypatch.setattr("nerbench.flows.cli.app", fail)
    assert status_of(["doctor"]) == 70
    err = capsys.readouterr().err
    assert SHOWN in err
    assert "\x1b" not in err


def test_commands_print_through_the_terminal_module_only() -> None:
    """Only output of this module is escaped."""
    commands = Path(__file__).parents[3] / "flows"
    direct = re.compile(r"(?<![\w.])print\((?!.*file=file)|\bConsole\(|traceback\.print_|std(out|err)\.write")
    found = {path.name for path in commands.rglob("*.py") if direct.search(path.read_text())}
    assert found == {"terminal.py", "progress_display.py"}
