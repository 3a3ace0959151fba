"""Selection of complete runs: runs with a row in `runs`, which is written last. Used by card, `compare` and report."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.results.tables import DatedRows, read_newest_first


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
