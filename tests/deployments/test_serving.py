"""`nerbench serve` as a new user types it: what it shows, what it serves, and what it leaves behind."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from nightly_models import prepare
from prefect_site import end_tree, environment, free_port, until

pytestmark = pytest.mark.e2e
GONE_WITHIN_S = 60.0


class Served:
    """A `nerbench serve` in a folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.said = folder / "said"
        command = [sys.executable, "-m", "flows.cli", "serve", "--port", str(self.port), *arguments]
        env = environment(folder / "home", folder / "cache")
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def text(self) -> str:
        return self.said.read_text()

    def await_welcome(self) -> None:
        def welcome() -> bool:
            assert self.process.poll() is None, self.text()
            return "Ctrl-C ends it" in self.text()

        until(welcome, "nerbench serve", self.text)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def flow_runs(self) -> list[Any]:
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: self.api}), get_client(sync_client=True) as client:
            return client.read_flow_runs()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    one = Served(folder)
    yield one
    end_tree(one.process)


def runs_of(home: Path) -> list[tuple[str, str]]:
    """State and its message of every run that was started, from the server's database."""

    query = "select s.type, s.message from flow_run r join flow_run_state s on r.state_id = s.id"
    with sqlite3.connect(home / "prefect.db") as database:
        return database.execute(f"{query} where s.type != 'SCHEDULED'").fetchall()


@pytest.mark.slow
def test_it_shows_what_to_type_and_schedules_nights_until_sigterm(served: Served) -> None:
    served.await_welcome()
    assert f"export PREFECT_API_URL={served.api}" in served.text()
    assert "benchmark/nightly    0 2 * * * Europe/Berlin    30 4 * * 0 Europe/Berlin" in served.text()
    until(lambda: any(run.state_name == "Scheduled" for run in served.flow_runs()), "scheduled runs")
    assert_ends_cleanly(served)


@pytest.mark.slow
@pytest.mark.operations
def test_a_run_that_is_cut_short_is_cancelled_and_leaves_no_process(folder: Path, served: Served) -> None:
    served.await_welcome()
    command = [sys.executable, "-m", "prefect", "deployment", "run", "benchmark/on-demand"]
    env = environment(folder / "home", folder / "cache") | {"PREFECT_API_URL": served.api}
    subprocess.run(command, env=env, check=True, capture_output=True)
    until(lambda: any(run.state_name == "Running" for run in served.flow_runs()), "a run", served.text)
    assert_ends_cleanly(served)
    assert runs_of(folder / "home") == [("CANCELLED", "`nerbench serve` was ended")]


def assert_ends_cleanly(served: Served) -> None:
    children = served.children()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(GONE_WITHIN_S) == 0
    assert [child for child in children if child.is_running()] == []
    assert served.text().splitlines()[-1] == "ending"
