"""Compaction neither loses nor duplicates rows, wherever it is interrupted and whatever runs concurrently."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from itertools import count, takewhile
from pathlib import Path

import pytest
from interruptions import CALLS, WRITES, Crash, at_call, crash
from run_files import DAY, NOW, WEEK, at_once, compact_runs, finished, prepared, read, read_by_glob, write

from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.tables.tables import find_table_file, read_newest_first


def nothing(url: str) -> None:
    """No compaction yet."""


PREPARATIONS = pytest.mark.parametrize("prepare", [nothing, compact_runs, at_once], ids=["new", "packed", "published"])


def crashed_at(step: int, url: str, prepare: Callable[[str], object]) -> bool:
    """Whether a compaction has a step of this number, from 0, before which it can die."""
    expected = prepared(url, prepare)
    with at_call(url, WRITES, step, crash) as crashed, suppress(Crash):
        compact_runs(url, now=NOW + WEEK)
    assert read(url) == expected
    assert set(read_by_glob(url)) == set(expected)
    write(url, "a")
    number = 1 if prepare is nothing else 2
    assert finished(url) == [
        f"_compacted/runs/schema=2/date={DAY}/{number:06}.json",
        f"runs/schema=2/date={DAY}/compacted-{number:06}.parquet",
    ]
    assert read(url) == read_by_glob(url) == expected
    return crashed.happened


@PREPARATIONS
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    memory_url: str, tmp_path: Path, kind: str, prepare: Callable[[str], object]
) -> None:
    base = memory_url if kind == "memory" else str(tmp_path)
    steps = sum(1 for number in takewhile(lambda n: crashed_at(n, f"{base}/{n}", prepare), count()))
    assert steps == {nothing: 2, compact_runs: 7, at_once: 2}[prepare]


@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_crash_on_s3(s3_url: str, number: int) -> None:
    assert crashed_at(number, s3_url, compact_runs)


@PREPARATIONS
def test_compaction_at_any_moment_disturbs_no_reader(memory_url: str, prepare: Callable[[str], object]) -> None:
    for number in count():
        url = f"{memory_url}/{number}"
        expected = prepared(url, prepare)
        with at_call(url, CALLS, number, lambda url=url: at_once(url)) as meanwhile:
            found = [read(url)]
        with at_call(url, CALLS, number, lambda url=url: at_once(url)):
            found.append(
                sorted(row for day in read_newest_first(url, "runs") for row in day.rows["run_id"].to_pylist())
            )
            assert find_table_file(url, "runs", "a")
        assert found == [expected, expected], number
        if not meanwhile.happened:
            break
    assert number >= 4


@PREPARATIONS
def test_compaction_at_any_moment_disturbs_no_writer(memory_url: str, prepare: Callable[[str], object]) -> None:
    for number in count():
        url = f"{memory_url}/{number}"
        expected = prepared(url, prepare)
        with at_call(url, CALLS, number, lambda url=url: at_once(url)) as meanwhile:
            write(url, "b")
            write(url, "later")
        with pytest.raises(ConflictError), at_call(url, CALLS, number, lambda url=url: at_once(url)):
            write(url, "late", outcome="failed")
        assert read(url) == sorted([*expected, f"{DAY}/later"]), number
        finished(url)
        assert read(url) == read_by_glob(url) == sorted([*expected, f"{DAY}/later"])
        if not meanwhile.happened:
            break
    assert number >= 4


def dying(url: str) -> None:
    """A compaction that dies at its first step."""
    with at_call(url, WRITES, 1, crash), suppress(Crash):
        compact_runs(url, timedelta(0))


@PREPARATIONS
@pytest.mark.parametrize("other", [compact_runs, at_once, dying, lambda url: write(url, "later")])
def test_one_of_two_compactions_wins(
    memory_url: str, prepare: Callable[[str], object], other: Callable[[str], object]
) -> None:
    for number in count():
        url = f"{memory_url}/{number}"
        expected = prepared(url, prepare)
        with at_call(url, CALLS, number, lambda url=url: other(url)) as meanwhile:
            compact_runs(url, timedelta(0))
        now_read = read(url)
        assert [row for row in now_read if row in expected] == expected, number
        assert set(now_read) <= {*expected, f"{DAY}/later"}
        finished(url)
        assert read(url) == read_by_glob(url) == now_read
        if not meanwhile.happened:
            break
    assert number >= 4


def test_writers_readers_and_two_compactions_at_once(memory_url: str) -> None:
    prepared(memory_url, at_once)
    acknowledged: set[str] = set(read(memory_url))

    def append(name: str) -> None:
        for number in range(30):
            write(memory_url, f"{name}{number}")
            acknowledged.add(f"{DAY}/{name}{number}")

    def look(turns: int) -> None:
        for _ in range(turns):
            before = set(acknowledged)
            found = read(memory_url)
            assert before <= set(found)
            assert len(set(found)) == len(found)

    with ThreadPoolExecutor(5) as pool:
        work = [pool.submit(append, name) for name in ("x", "y")]
        work += [pool.submit(lambda: [at_once(memory_url) for _ in range(15)]) for _ in range(2)]
        work.append(pool.submit(look, 20))
        for one in work:
            one.result()
    assert read(memory_url) == sorted(acknowledged)
