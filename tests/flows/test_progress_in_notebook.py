"""The line below a cell: drawn by rich, replaced by IPython, with a bar where the share of the work is known."""

import logging

import pytest
from rich.console import Console

from nerbench.flows.progress_display import LiveLine, _drawn, is_notebook


def text(shown: object) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(shown)
    return capture.get().rstrip()


def test_the_length_of_the_bar_is_the_share() -> None:
    assert text(_drawn("working", None)) == "working"
    half = text(_drawn("half", 0.5))
    assert half.endswith(" half")
    bar = half.removesuffix(" half")
    assert len(bar) == 24
    assert text(_drawn("\x1b[31mred", None)) == r"\x1b[31mred"


class Handle:
    """What IPython returns for a display that is to be replaced."""

    def __init__(self, drawn: object) -> None:
        self.shown = [text(drawn)]

    def update(self, drawn: object) -> None:
        self.shown.append(text(drawn))


def test_every_message_replaces_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    monkeypatch.setattr(display, "display", lambda drawn, display_id: Handle(drawn))
    with LiveLine("first") as line:
        record = logging.LogRecord("nerbench.progress", logging.INFO, __file__, 1, "tiny: step 1 of 4", (), None)
        record.share = 0.25
        line.handle(record)
    first, second, last = line._shown.shown
    assert (first, last) == ("first", "done after 0:00")
    assert second.endswith(" tiny: step 1 of 4")
    assert not is_notebook()
