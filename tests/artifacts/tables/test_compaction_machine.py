"""Compares any order of writes, retries, new days, compactions and crashes with a dictionary."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from interruptions import WRITES, Crash, at_call, crash

from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.tables import find_table_file, read_newest_first, read_results, write_table

GRACE = timedelta(days=2)
DAYS = st.sampled_from(["2026-01-01", "2026-01-02", "2026-01-03"])
KEYS = st.sampled_from("abcd")
STEPS = st.integers(0, 6)


class Tables(RuleBasedStateMachine):
    """The table of runs: a row has a date, a key and a number."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, int] = {}
        self.now = datetime(2026, 1, 2, tzinfo=UTC)
        self.half_done = False

    def write(self, date: str, key: str, number: int) -> str:
        row = {"run_id": f"{date}/{key}", "started_at": self.now, "flow": "train", "evaluated": 0, "outcome": "ok"}
        return write_table(self.url, "runs", [row | {"configuration": f"{number}"}], date=date, key=key)

    @rule(date=DAYS, key=KEYS, number=st.integers(0, 1))
    def write_or_retry(self, date: str, key: str, number: int) -> None:
        if self.rows.get(f"{date}/{key}", number) == number:
            uri = self.write(date, key, number)
            self.rows[f"{date}/{key}"] = number
            assert uri == find_table_file(self.url, "runs", key, date)
        else:
            with pytest.raises(ConflictError, match="configuration of row 0"):
                self.write(date, key, number)

    @rule(date=DAYS, key=KEYS, step=st.integers(0, 1))
    def write_and_crash(self, date: str, key: str, step: int) -> None:
        number = self.rows.get(f"{date}/{key}", 0)
        with at_call(self.url, WRITES, step, crash), suppress(Crash):
            self.write(date, key, number)
        self.write_or_retry(date, key, number)

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.now += timedelta(days=days)

    @rule()
    def compact(self) -> None:
        compact(self.url, ["runs"], grace=GRACE, now=self.now)
        self.half_done = False

    @rule(step=STEPS)
    def compact_and_crash(self, step: int) -> None:
        with at_call(self.url, WRITES, step, crash) as crashed, suppress(Crash):
            compact(self.url, ["runs"], grace=GRACE, now=self.now)
        self.half_done = crashed.happened

    @rule(step=STEPS, date=DAYS, key=KEYS)
    def compact_while_writing(self, step: int, date: str, key: str) -> None:
        number = self.rows.get(f"{date}/{key}", 1)
        with at_call(self.url, WRITES, step, lambda: self.write(date, key, number)) as written:
            self.compact()
        if written.happened:
            self.rows[f"{date}/{key}"] = number

    @invariant()
    def all_rows_are_read_once(self) -> None:
        rows = read_results(self.url, "runs", columns=["run_id", "configuration"]).to_pylist()
        assert sorted((row["run_id"], int(row["configuration"])) for row in rows) == sorted(self.rows.items())

    @invariant()
    def every_date_has_its_own(self) -> None:
        found = {dated.date: set(dated.rows["run_id"].to_pylist()) for dated in read_newest_first(self.url, "runs")}
        expected: dict[str, set[str]] = {}
        for name in self.rows:
            expected.setdefault(name[:10], set()).add(name)
        assert found == expected
        assert list(found) == sorted(found, reverse=True)

    @invariant()
    def a_glob_misses_nothing_and_doubles_only_after_a_crash(self) -> None:
        root = open_root(self.url)
        paths = [path for path in root.files("runs", recursive=True) if path.endswith(".parquet")]
        tables = [pq.read_table(pa.BufferReader(root.read(path)), columns=["run_id"]) for path in paths]
        found = sorted(name for table in tables for name in table["run_id"].to_pylist())
        assert (sorted(set(found)) if self.half_done else found) == sorted(self.rows)


def run(kind: type[Tables], examples: int, steps: int) -> None:
    wanted = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(kind, settings=wanted)


def test_in_memory() -> None:
    class InMemory(Tables):
        def __init__(self) -> None:
            super().__init__()
            self.url = f"memory://{uuid4().hex}"

    run(InMemory, 12, 12)


def test_in_a_folder(tmp_path: Path) -> None:
    class InAFolder(Tables):
        def __init__(self) -> None:
            super().__init__()
            self.url = str(tmp_path / uuid4().hex)

    run(InAFolder, 4, 10)


def test_on_s3(s3_url: str) -> None:
    class OnS3(Tables):
        def __init__(self) -> None:
            super().__init__()
            self.url = f"{s3_url}/{uuid4().hex}"

    run(OnS3, 2, 6)
