"""Shows progress on a terminal, in a log file, and in a notebook.

In a notebook, rich draws a line with a bar, which IPython replaces, so that it needs no widgets.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from nerbench.artifacts.terminal_escaping import escaped
from nerbench.flows.terminal import escaping, verbosity
from nerbench.tasks.progress import at_most_every, clock

OURS = ("nerbench.artifacts", "nerbench.flows", "nerbench.tasks")
LOG_EVERY_S = 30.0
"""How often progress is written to a log file."""
BAR_WIDTH = 24
"""The length of the bar in a notebook, in characters."""


@contextmanager
def show_progress(first: str = "working", *, live: bool = True) -> Iterator[None]:
    """Show nerbench's warnings as lines on stderr, and progress: one `live` line if stderr is a terminal, otherwise a
    line every LOG_EVERY_S seconds.

    With `-v`, every message is a line; with `-q`, none is shown. In a notebook, the live line has a progress bar, and
    every model has two separate lines.
    """
    from rich.console import Console

    if is_notebook() and verbosity() == "normal":
        with (
            LiveLine(first) as shown,
            _listening(OURS, _Lines(logging.WARNING, lambda text: print(f"warning: {text}"))),
            _listening(("nerbench.models",), _Lines(logging.INFO, print)),
            _listening(("nerbench.progress",), shown),
        ):
            yield
        return

    console = escaping(Console(stderr=True, quiet=verbosity() == "quiet"))

    def line(text: str, style: str | None = None) -> None:
        console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)

    if verbosity() == "verbose":
        with _listening((*OURS, "nerbench.progress", "nerbench.models"), _Lines(logging.INFO, line)):
            line(first)
            yield
        return
    warner = _Lines(logging.WARNING, lambda text: line(f"warning: {text}", "yellow"))
    with _listening(OURS, warner):
        if not (live and sys.stderr.isatty()) or verbosity() == "quiet":
            with _listening(
                ("nerbench.progress",), _Lines(logging.INFO, at_most_every(LOG_EVERY_S, line, at_once=False))
            ):
                yield
            return
        with (
            console.status(first) as status,
            _listening(("nerbench.progress",), _Lines(logging.INFO, status.update)),
        ):
            yield


@contextmanager
def _listening(names: tuple[str, ...], handler: logging.Handler) -> Iterator[None]:
    """Within this context, only `handler` gets the messages of these loggers, from its level up."""
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(handler.level)
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class _Lines(logging.Handler):
    """Pass every message to a function."""

    def __init__(self, level: int, show: Callable[[str], None]) -> None:
        super().__init__(level)
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        self.show(escaped(record.getMessage()))


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")


class LiveLine(logging.Handler):
    """A line below the cell that shows the newest message; at the end, it shows the elapsed time only."""

    def __init__(self, first: str) -> None:
        super().__init__(logging.INFO)
        self._first, self._started = first, time.monotonic()

    def __enter__(self) -> Self:
        """Show the first message."""
        from IPython.display import display

        self._shown = display(_drawn(self._first, None), display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Replace the last message."""
        ended = "stopped" if error else "done"
        self._shown.update(_drawn(f"{ended} after {clock(time.monotonic() - self._started)}", None))

    def emit(self, record: logging.LogRecord) -> None:
        """Replace the message."""
        self._shown.update(_drawn(record.getMessage(), getattr(record, "share", None)))


def _drawn(text: str, share: float | None) -> Any:
    """A message, behind a bar if the share of the work that is done is known."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bar = [] if share is None else [ProgressBar(total=1.0, completed=share, width=BAR_WIDTH)]
    line = Table.grid(padding=(0, 1))
    line.add_row(*bar, Text(escaped(text)))
    return line
