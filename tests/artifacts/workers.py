"""The work of the spawned processes of `test_processes`."""

import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import table_key, write_table

_together: list[Barrier] = []


def join(barrier: Barrier) -> None:
    """Run at the start of every worker, so that all begin their tasks at the same time."""
    _together.append(barrier)


def race(url: str, path: str, number: int) -> bool:
    """Whether this worker was the one that created a file."""
    _together[0].wait()
    try:
        open_root(url).create(path, f"{number}".encode() * 1000)
    except FileExistsError:
        return False
    return True


def append(url: str, number: int, count: int) -> list[str]:
    """Write separate tables, and one that every worker writes. Return the keys of the acknowledged tables."""
    _together[0].wait()
    keys = [table_key(f"{number}", f"{turn}") for turn in range(count)]
    for key in keys:
        write_table(url, "runs", [run(key)], date="2026-01-02", key=key)
    try:
        write_table(url, "runs", [run(f"{number}")], date="2026-01-02", key="shared")
    except ConflictError:
        return keys
    return [*keys, "shared"]


def run(run_id: str) -> dict[str, object]:
    """A row of the table of runs."""
    return {"run_id": run_id, "started_at": 0, "flow": "train", "outcome": "ok"}


def materialise(url: str, name: str, artifact_id: str, cache: str) -> dict[str, bytes]:
    """The files of an artifact, from a cache that all workers share."""
    os.environ["NERBENCH_CACHE"] = cache
    store, key = Store(url), ArtifactKey(name=name, artifact_id=artifact_id)
    _together[0].wait()
    folder: Path = store.materialise(key)
    return {path.name: path.read_bytes() for path in folder.iterdir()}
