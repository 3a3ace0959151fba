"""Run flows from the command line or from Python: quiet Prefect, progress on stderr."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nerbench.artifacts.terminal_escaping import escaped
from nerbench.flows import server
from nerbench.flows.garbage_collection import FEW_COLLECTIONS
from nerbench.flows.terminal import verbosity
from nerbench.tasks.child_process import CALM
from nerbench.tasks.progress import at_most_every

# Prefect and transformers read these on import. Values that the user has set take precedence.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",  # otherwise each of a thousand task runs logs its end
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the command reports the important messages in one line
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
    **CALM,
}
OURS = ("nerbench.artifacts", "nerbench.flows", "nerbench.tasks")
LOG_EVERY_S = 30.0
"""How often progress is written to a log file."""


def start_prefect(*, automations: bool = True) -> None:
    """Silence the libraries and start a Prefect server; the first call of a command that runs a flow.

    Without `automations`, the server reacts to no events, which saves it a tenth of its start; this is for a command
    that stores no artifact.
    """
    quiet()
    if not automations:
        os.environ.setdefault("PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED", "false")
    server.start()


def quiet() -> None:
    """Silence the libraries and collect garbage less often; call this before importing them.

    With `-v`, Prefect's log stays on.
    """
    if verbosity() == "verbose":
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")
        os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL", "INFO")
    gc.set_threshold(*FEW_COLLECTIONS)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module="prefect")
    warnings.filterwarnings("ignore", message="IProgress not found")  # of tqdm, whose bars are off


@contextmanager
def prefect_running(*, live: bool = True, before_ready: Callable[[], None] | None = None) -> Iterator[None]:
    """Provide a Prefect server and progress output while a flow runs; while a server starts, call `before_ready`."""
    with show_progress("starting Prefect", live=live):
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        # The heartbeat thread delays every exit by a second, and a run in a terminal needs no heartbeat.
        with server.ready(before_ready), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            yield


@contextmanager
def show_progress(first: str = "working", *, live: bool = True) -> Iterator[None]:
    """Show nerbench's warnings as lines on stderr, and progress: one `live` line if stderr is a terminal, otherwise a
    line every LOG_EVERY_S seconds.

    With `-v`, every message is a line; with `-q`, none is shown. In a notebook, the live line has a progress bar, and
    every model has two separate lines.
    """
    from rich.console import Console

    from nerbench.flows.notebook import LiveLine, is_notebook
    from nerbench.flows.terminal import escaping

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
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.setLevel(handler.level)
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


class _Lines(logging.Handler):
    """Pass every message to a function."""

    def __init__(self, level: int, show: Callable[[str], None]) -> None:
        super().__init__(level)
        self.show = show

    def emit(self, record: logging.LogRecord) -> None:
        self.show(escaped(record.getMessage()))
