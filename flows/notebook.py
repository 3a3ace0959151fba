"""Progress in a notebook: one line with a bar, drawn by rich and replaced by IPython, so that it needs no widgets."""

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

from nerbench.artifacts.terminal_escaping import escaped
from nerbench.tasks.progress import clock

WIDTH = 24
"""The length of the bar in characters."""


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

    bar = [] if share is None else [ProgressBar(total=1.0, completed=share, width=WIDTH)]
    line = Table.grid(padding=(0, 1))
    line.add_row(*bar, Text(escaped(text)))
    return line
