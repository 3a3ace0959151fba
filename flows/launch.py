"""Run flows from the command line or from Python, with quiet libraries and a Prefect server."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nerbench.flows import server
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import verbosity
from nerbench.tasks.child_process import CALM

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
    """Silence the libraries; call this before importing them.

    With `-v`, Prefect's log stays on.
    """
    if verbosity() == "verbose":
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")
        os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL", "INFO")
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
