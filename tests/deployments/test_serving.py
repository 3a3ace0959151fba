"""`nerbench serve` as a new user types it: what it shows, what it serves, and what it leaves behind."""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nightly_models import prepare
from prefect_site import Serving, end_tree, until

pytestmark = pytest.mark.e2e
GONE_WITHIN_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


@pytest.fixture
def served(folder: Path) -> Iterator[Serving]:
    one = Serving(folder)
    yield one
    end_tree(one.process)


def runs_of(home: Path) -> list[tuple[str, str]]:
    """State and its message of every run that was started, from the server's database."""

    query = "select s.type, s.message from flow_run r join flow_run_state s on r.state_id = s.id"
    with sqlite3.connect(home / "prefect.db") as database:
        return database.execute(f"{query} where s.type != 'SCHEDULED'").fetchall()


@pytest.mark.slow
def test_it_shows_what_to_type_and_schedules_nights_until_sigterm(served: Serving) -> None:
    served.await_welcome()
    assert f"\n  . {served.file}\n" in served.text()
    assert served.auth not in served.text(), "a log is read by others"
    assert "benchmark/nightly    0 2 * * * Europe/Berlin    30 4 * * 0 Europe/Berlin" in served.text()
    until(lambda: any(run.state_name == "Scheduled" for run in served.flow_runs()), "scheduled runs")
    assert_ends_cleanly(served)


@pytest.mark.slow
@pytest.mark.operations
def test_a_run_that_is_cut_short_is_cancelled_and_leaves_no_process(folder: Path, served: Serving) -> None:
    served.await_welcome()
    assert served.shell("prefect deployment run benchmark/on-demand").wait(120) == 0
    until(lambda: any(run.state_name == "Running" for run in served.flow_runs()), "a run", served.text)
    assert_ends_cleanly(served)
    assert runs_of(folder / "home") == [("CANCELLED", "`nerbench serve` was ended")]


def assert_ends_cleanly(served: Serving) -> None:
    children = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(GONE_WITHIN_S) == 0
    assert [child for child in children if child.is_running()] == []
    assert served.text().splitlines()[-1] == "ending"
    assert not served.file.exists()
    assert list((served.home / "nerbench-runs").iterdir()) == []
