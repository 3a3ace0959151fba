"""Writes, reads and compacts small files of the table of runs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.compaction import Compacted, compact
from nerbench.artifacts.tables.tables import read_results, write_table

DAY, NEXT_DAY = "2026-01-01", "2026-01-02"
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


def write(url: str, key: str, date: str = DAY, *, outcome: str = "ok", **columns: object) -> str:
    row = {"run_id": f"{date}/{key}", "started_at": NOW, "flow": "benchmark", "outcome": outcome, **columns}
    return write_table(url, "runs", [row], date=date, key=key)


def read(url: str) -> list[str]:
    return sorted(read_results(url, "runs", columns=["run_id"])["run_id"].to_pylist())


def read_by_glob(url: str) -> list[str]:
    """The rows that a reader without knowledge of manifests finds."""
    root = open_root(url)
    paths = [path for path in root.files("runs", recursive=True) if path.endswith(".parquet")]
    tables = [pq.read_table(pa.BufferReader(root.read(path)), columns=["run_id"]) for path in paths]
    return sorted(run_id for table in tables for run_id in table["run_id"].to_pylist())


def compact_runs(url: str, grace: timedelta = WEEK, now: datetime = NOW) -> Compacted:
    (done,) = compact(url, ["runs"], grace=grace, now=now)
    return done


def at_once(url: str) -> None:
    """Compact a table completely, without grace periods."""
    for _ in range(2):
        compact_runs(url, timedelta(0))


def prepared(url: str, prepare: Callable[[str], object]) -> list[str]:
    """Write three files of a day in some state, and one more file; return the rows."""
    for key in "abc":
        write(url, key)
    prepare(url)
    write(url, "late")
    return [*(f"{DAY}/{key}" for key in "abc"), f"{DAY}/late"]


def finished(url: str) -> list[str]:
    """The remaining files after complete compaction."""
    for turn in range(2, 5):
        compact_runs(url, now=NOW + turn * WEEK)
    return [path for folder in ("_compacted", "runs") for path in open_root(url).files(folder, recursive=True)]
