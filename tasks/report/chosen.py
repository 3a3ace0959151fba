"""Which runs a report is about."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.results.tables import Filter, read_newest_first
from nerbench.tasks.results.ended import ended_runs, newest_ended
from nerbench.tasks.scoring.metrics import Row

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN = 5


class ChosenRun(NamedTuple):
    """A run with scores."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    started_at: datetime
    row: Row
    """Its row of `runs`, of its last attempt."""


def choose_runs(results: str, wanted: Sequence[str] = ()) -> list[ChosenRun]:
    """The runs meant, the newest first; by default the newest one that has scores and ended.

    A run is meant by its id, or as the newest one of a date. Raises InputError where there is no such run.
    """
    found = [_find(results, one) for one in wanted] or [_find(results, None)]
    return sorted(set_of(found), key=lambda run: (run.started_at, run.run_id), reverse=True)


def set_of(runs: Sequence[ChosenRun]) -> list[ChosenRun]:
    """Each run once."""
    return list({run.run_id: run for run in runs}.values())


def _find(results: str, wanted: str | None) -> ChosenRun:
    date = wanted if wanted and _DATE.fullmatch(wanted) else None
    named: list[Filter] = [("run_id", "=", wanted)] if wanted and not date else []
    if named:  # the small table of runs tells the date, so that the scores of other nights need not be read
        told = next(read_newest_first(results, "runs", columns=["run_id"], filters=named), None)
        date = told.date if told else None
    columns = ["run_id", "started_at"]
    scored = read_newest_first(results, "metrics", columns=columns, filters=named, date=date)
    ended = next(filter(None, (newest_ended(results, dated) for dated in scored)), None)
    if ended is None:
        raise _no_such_run(results, wanted)
    return ChosenRun(ended.run_id, ended.date, pc.max(ended.rows["started_at"]).as_py(), dict(ended.row))


def _no_such_run(results: str, wanted: str | None) -> InputError:
    known = []
    for night in read_newest_first(results, "metrics", columns=["run_id"]):
        known += sorted({row["run_id"] for row in ended_runs(results, night)})
        if len(known) >= _SHOWN:
            break
    if wanted is None or not known:
        remedy = "run `nerbench run` or `nerbench benchmark` first"
        return InputError(f"results {results}", "hold no scores yet of a run that ended", remedy)
    return InputError(f"run {wanted!r}", "has no scores", f"choose among {', '.join(known[:_SHOWN])}")
