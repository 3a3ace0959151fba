"""The steps of processes that are killed; all results are plain JSON."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from nerbench.artifacts.garbage import find_garbage, remove_garbage
from nerbench.artifacts.manifest import ArtifactKey, Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables import compaction
from nerbench.artifacts.tables.compaction import compact as compact_tables
from nerbench.artifacts.tables.tables import write_table

TABLE, DATE = "speed", "2026-01-02"
ROWS = 3
"""Number of rows in each file of the table, so that lost rows are noticed."""


def publish(url: str, folder: str, name: str) -> str:
    """Publish a folder with a fixed date, so that a retry gives the same artifact; return its id."""
    when = Provenance(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return Store(url).publish(Path(folder), name, when).artifact_id


def write(url: str, key: str, value: int) -> str:
    """Write a file of ROWS rows, and return its key."""
    write_table(url, TABLE, rows(key, value), date=DATE, key=key)
    return key


def alias(url: str, name: str, alias: str, artifact_id: str) -> str:
    """Move an alias; return its target."""
    Store(url).set_alias(name, alias, artifact_id)
    return artifact_id


def load(url: str, name: str, artifact_id: str) -> dict[str, str]:
    """Materialise an artifact; return its files in hex."""
    folder = Store(url).materialise(ArtifactKey(name=name, artifact_id=artifact_id))
    return contents(folder)


def collect(url: str) -> list[str]:
    """Collect garbage without a grace period; return the removed files."""
    store, grace = Store(url), timedelta(hours=1)
    found = find_garbage(store, grace=grace, now=datetime.now(UTC) + 2 * grace)
    return [one.path for one in remove_garbage(store, found)]


def compact(url: str) -> list[int]:
    """Compact the table once without grace periods; return the numbers of packed and deleted files."""
    done = compact_tables(url, [TABLE], grace=timedelta(0), now=datetime(2030, 1, 1, tzinfo=UTC))
    return [done[0].packed, done[0].deleted]


def pack(url: str, keys: list[str]) -> int:
    """What a run does that wrote these files and is complete: pack its day; how many files were packed."""
    folder = f"{url}/{TABLE}/schema=2/date={DATE}"
    uris = {TABLE: [f"{folder}/{key}.parquet" for key in keys]}
    with patch.object(compaction, "FEWEST", 2):  # otherwise, a schedule would need eight files
        return compaction.pack_run(url, uris, now=datetime(2026, 1, 3, tzinfo=UTC))


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, in hex."""
    return {path.name: path.read_bytes().hex() for path in sorted(folder.iterdir())}


def rows(key: str, value: int) -> list[dict[str, Any]]:
    """The rows of one file: its key is their run, and they are numbered by their batch size."""
    texts = dict.fromkeys(("artifact_id", "model", "device", "dtype", "workload", "status"), "x")
    return [{**texts, "run_id": key, "batch_size": number, "sequence_length": value} for number in range(ROWS)]


STEPS: dict[str, Callable[..., Any]] = {
    "publish": publish,
    "alias": alias,
    "load": load,
    "collect": collect,
    "write": write,
    "compact": compact,
    "pack": pack,
}
