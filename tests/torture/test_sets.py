"""The set test: every acknowledged write of many processes is read once; one of several writers of a key wins."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import set_workers
from figures import Count
from ledger import Ledger

pytestmark = pytest.mark.torture
WORKERS = 8
FILES = 250
RACES = 200


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")  # s3fs does not survive a fork
    barrier = spawn.Barrier(WORKERS, timeout=240)
    with ProcessPoolExecutor(WORKERS, mp_context=spawn, initializer=set_workers.join, initargs=(barrier,)) as executor:
        yield executor


def test_on_a_local_disk(pool: ProcessPoolExecutor, figures: list[Count], tmp_path: Path) -> None:
    figures.append(append_and_race(pool, str(tmp_path / "root"), "file"))
    figures[-1].assert_nothing_lost()


def test_on_s3(pool: ProcessPoolExecutor, figures: list[Count], any_s3_url: str, server_name: str) -> None:
    figures.append(append_and_race(pool, any_s3_url, server_name))
    figures[-1].assert_nothing_lost()


def append_and_race(pool: ProcessPoolExecutor, url: str, store: str) -> Count:
    """Append, race, read, compare."""
    count, ledger = Count(f"{WORKERS} processes append and race", store), Ledger(url)
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    appended = [pool.submit(set_workers.append, aws, url, number, FILES) for number in range(WORKERS)]
    for number, worker in enumerate(appended):
        ledger.rows |= dict.fromkeys(worker.result(), number)
    races = [pool.submit(set_workers.race, url, number, RACES) for number in range(WORKERS)]
    wins = [race.result() for race in races]
    for turn in range(RACES):
        winners = [number for number in range(WORKERS) if wins[number][turn]]
        if len(winners) != 1:
            count.duplicates.append(f"race-{turn} was won by {winners}")
        ledger.rows |= {f"race-{turn}": winner for winner in winners}
    count.acknowledged, count.schedules = len(ledger.rows), 1 + RACES
    count.add(ledger.check())
    assert count.acknowledged == WORKERS * FILES + RACES
    return count
