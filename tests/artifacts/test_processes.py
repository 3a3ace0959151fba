"""Several processes, started by `spawn`, use one store, one table and one cache."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import workers
from fake_models import MakeModel

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results

WORKERS = 4
TABLES = 20


@pytest.fixture(scope="module")
def pool(bucket: str) -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")  # s3fs does not survive a fork
    barrier = spawn.Barrier(WORKERS, timeout=120)
    with ProcessPoolExecutor(WORKERS, mp_context=spawn, initializer=workers.join, initargs=(barrier,)) as executor:
        yield executor


@pytest.fixture(params=["file", "s3"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path, s3_url: str) -> str:
    return s3_url if request.param == "s3" else str(tmp_path / "root")


def test_one_winner(pool: ProcessPoolExecutor, shared_url: str) -> None:
    root = open_root(shared_url)
    for turn in range(6):
        races = [pool.submit(workers.race, shared_url, f"race-{turn}", number) for number in range(WORKERS)]
        winners = [number for number, race in enumerate(races) if race.result()]
        assert len(winners) == 1
        assert root.read(f"race-{turn}") == f"{winners[0]}".encode() * 1000


def test_files_of_other_processes_are_seen(pool: ProcessPoolExecutor, shared_url: str) -> None:
    root = open_root(shared_url)
    root.create("folder/first", b"")
    assert root.files("folder") == root.files("folder", recursive=True) == ["folder/first"]
    writers = [pool.submit(workers.race, shared_url, f"folder/{number}", number) for number in range(WORKERS)]
    assert all(writer.result() for writer in writers)
    expected = [*(f"folder/{number}" for number in range(WORKERS)), "folder/first"]
    assert root.files("folder") == root.files("folder", recursive=True) == expected
    assert all(root.exists(path) for path in expected)


def test_acknowledged_rows_are_read(pool: ProcessPoolExecutor, shared_url: str) -> None:
    assert read_results(shared_url, "runs").num_rows == 0
    writers = [pool.submit(workers.append, shared_url, number, TABLES) for number in range(WORKERS)]
    acknowledged = [key for writer in writers for key in writer.result()]
    assert acknowledged.count("shared") == 1
    rows = read_results(shared_url, "runs")["run_id"].to_pylist()
    winner = next(run_id for run_id in rows if run_id.isdigit() and len(run_id) == 1)
    assert sorted(rows) == sorted([winner, *(key for key in acknowledged if key != "shared")])
    assert len(rows) == WORKERS * TABLES + 1
    assert "shared" in writers[int(winner)].result()


def test_one_cache(pool: ProcessPoolExecutor, shared_url: str, make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model(numbers=100_000)
    ref = Store(shared_url).publish(folder, "toy", Provenance())
    expected = {path.name: path.read_bytes() for path in folder.iterdir()}
    cache = tmp_path / "shared cache"
    damaged = cache / "blobs" / Store(shared_url).manifest(ref).files[1].sha256
    for _ in range(3):
        arguments = (shared_url, ref.name, ref.artifact_id, str(cache))
        found = [pool.submit(workers.materialise, *arguments) for _ in range(WORKERS)]
        assert [files.result() for files in found] == [expected] * WORKERS
        assert not [path for path in cache.rglob("*.tmp") if path.is_file()]
        damaged.write_bytes(b"damaged")
