"""Which runs count: those that have their row of `runs`, which is written last. Card, `compare` and report ask here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.results.tables import DatedRows, read_newest_first


class EndedRun(NamedTuple):
    """What a table says of one run that ended."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    row: Mapping[str, Any]
    """Its row of `runs`, of its last attempt."""
    rows: pa.Table
    """Its rows of the table."""


def ended_runs(results: str, dated: DatedRows) -> list[Mapping[str, Any]]:
    """The rows of `runs` of the runs in `dated`, whose rows need a `run_id`; the run that started last comes last."""
    runs = next(read_newest_first(results, "runs", date=dated.date), None)
    there = set(dated.rows["run_id"].to_pylist())
    ended = [row for row in runs.rows.to_pylist() if row["run_id"] in there] if runs else []
    return sorted(ended, key=lambda row: (row["started_at"], row["run_id"]))


def newest_ended(results: str, dated: DatedRows) -> EndedRun | None:
    """The run that started last of those in `dated` that ended; None if none did."""
    if not (ended := ended_runs(results, dated)):
        return None
    run_id = ended[-1]["run_id"]
    return EndedRun(run_id, dated.date, ended[-1], dated.rows.filter(pc.field("run_id") == run_id))
