"""Questions to the result tables that several readers have: which runs are complete, newest or selected.

A run is complete if it has a row in `runs`, which is written last. Cards, comparisons, summaries and reports ask here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING


class EndedRun(NamedTuple):
    """The rows of one complete run in a table."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    row: Mapping[str, Any]
    """The row in `runs` of its last attempt."""
    rows: pa.Table
    """Its rows in the table."""


def ended_runs(results: str, dated: DatedRows) -> list[Mapping[str, Any]]:
    """The rows in `runs` of the complete runs in `dated` (which needs a `run_id`), ordered by start time."""
    runs = next(read_newest_first(results, "runs", date=dated.date), None)
    there = set(dated.rows["run_id"].to_pylist())
    ended = [row for row in runs.rows.to_pylist() if row["run_id"] in there] if runs else []
    return sorted(ended, key=lambda row: (row["started_at"], row["run_id"]))


def newest_ended(results: str, dated: DatedRows) -> EndedRun | None:
    """The complete run in `dated` with the latest start time; None if there is none."""
    if not (ended := ended_runs(results, dated)):
        return None
    run_id = ended[-1]["run_id"]
    return EndedRun(run_id, dated.date, ended[-1], dated.rows.filter(pc.field("run_id") == run_id))


HEADLINE: Mapping[str, str] = {
    "level": "entity",
    "mode": "strict",
    "slice": EVERYTHING,
    "label": OVERALL,
    "metric": "f1",
    "average": "micro",
}
"""The number that tables, gates and reports show first: strict, micro-averaged F1 of all entities."""
HEADLINE_FILTERS: tuple[Filter, ...] = tuple((name, "=", value) for name, value in HEADLINE.items())


def date_of_run(results: str, run_id: str) -> str | None:
    """The logical date of a run, from the small table of runs, so that the scores of other dates need not be read."""
    found = next(read_newest_first(results, "runs", columns=["run_id"], filters=[("run_id", "=", run_id)]), None)
    return found.date if found else None


def is_headline(row: Row) -> bool:
    """Whether a row is about the headline number; rules of a gate have neither level nor average."""
    return all(row[name] == value for name, value in HEADLINE.items() if name in row)


def row_of_run(results: str, run_id: str, date: str) -> Mapping[str, Any] | None:
    """A run's row of `runs`, of its last attempt; None where it wrote none."""
    found = next(read_newest_first(results, "runs", filters=[("run_id", "=", run_id)], date=date), None)
    return max(found.rows.to_pylist(), key=lambda row: row["started_at"]) if found else None


_IS = {
    "workload": ("inference",),
    "backend": ("eager", "process"),
    "batch_size": (1,),
    "sequence_length": (),
}
_ABOUT = ("run_id", "artifact_id", "device", "dtype", "backend", "status")


def latency_samples(rows: Iterable[Row]) -> list[Row]:
    """Those rows among others of sweeps, the first of each model, device, dtype and backend of a run.

    Tables that were written before there were sweeps leave columns out; what they have is the sample.
    """
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if all(row.get(name) in (*values, None) for name, values in _IS.items()):
            found.setdefault(tuple(row.get(name) for name in _ABOUT), row)
    return list(found.values())


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN = 5


class SelectedRun(NamedTuple):
    """A run with scores."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    started_at: datetime
    row: Row
    """Its row of `runs`, of its last attempt."""


def select_runs(results: str, wanted: Sequence[str] = ()) -> list[SelectedRun]:
    """The runs meant, the newest first; by default the newest one that has scores and ended.

    A run is meant by its id, or as the newest one of a date. Raises InputError where there is no such run.
    """
    found = [_find(results, one) for one in wanted] or [_find(results, None)]
    return sorted(set_of(found), key=lambda run: (run.started_at, run.run_id), reverse=True)


def set_of(runs: Sequence[SelectedRun]) -> list[SelectedRun]:
    """Each run once."""
    return list({run.run_id: run for run in runs}.values())


def _find(results: str, wanted: str | None) -> SelectedRun:
    date = wanted if wanted and _DATE.fullmatch(wanted) else None
    named: list[Filter] = [("run_id", "=", wanted)] if wanted and not date else []
    if wanted and not date:
        date = date_of_run(results, wanted)
    columns = ["run_id", "started_at"]
    scored = read_newest_first(results, "metrics", columns=columns, filters=named, date=date)
    ended = next(filter(None, (newest_ended(results, dated) for dated in scored)), None)
    if ended is None:
        raise _no_such_run(results, wanted)
    return SelectedRun(ended.run_id, ended.date, pc.max(ended.rows["started_at"]).as_py(), dict(ended.row))


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
