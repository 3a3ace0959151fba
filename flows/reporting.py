"""The report after a benchmark, written after its tables, whatever the verdict of the gate."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.problems import collected
from nerbench.flows.identity import current_run
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config

_logger = logging.getLogger("nerbench.tasks.report")


@contextmanager
def reported(config: Config) -> Iterator[dict[str, str]]:
    """After the context, write the report, show it in Prefect, and set `report` in the yielded mapping to its location.

    A failed run also gets a report, whose location is in the failure's summary; an invalid request gets none. If the
    report cannot be written, a warning is logged and the run continues.
    """
    told: dict[str, str] = {}
    try:
        yield told
    except InputError:
        raise
    except Exception as error:
        told |= _write(config)
        if isinstance(error, RunFailedError) and error.summary is not None:
            error.summary |= told
        raise
    told |= _write(config)


def _write(config: Config) -> dict[str, str]:
    if not (config.benchmark.report and config.datasets):  # without one there are no scores to report
        return {}
    try:
        with collected() as problems:
            announced = tasks.write_report(current_run(config.results), config)
        tasks.show_report(announced)
    except Exception as error:
        _logger.warning("there is no report of this run: %s", " ".join(f"{type(error).__name__}: {error}".split()))
        return {}
    for problem in problems.values():
        _logger.warning("left out of the report: %s", problem)
    return {"report": announced.uri}
