"""`nerbench serve` for a new user: its output, its deployments, and its shutdown."""

import re
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nightly_models import prepare
from prefect_site import Serving, Site, end_tree, until

pytestmark = pytest.mark.e2e
GONE_WITHIN_S = 240.0


def is_free(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


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
    """State and message of every run, from the server's database."""

    query = "select s.type, s.message from flow_run r join flow_run_state s on r.state_id = s.id"
    with sqlite3.connect(home / "prefect.db") as database:
        return database.execute(f"{query} where s.type != 'SCHEDULED'").fetchall()


@pytest.mark.slow
def test_it_shows_commands_and_schedules_runs_until_sigterm(served: Serving) -> None:
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
    assert served.shell("prefect deployment run benchmark/on-demand").wait(240) == 0
    until(lambda: any(run.state_name == "Running" for run in served.flow_runs()), "a run", served.text)
    assert_ends_cleanly(served)
    assert runs_of(folder / "home") == [("CANCELLED", "`nerbench serve` was ended")]


@pytest.mark.slow
@pytest.mark.operations
def test_the_run_of_a_killed_process_is_crashed_by_the_next(folder: Path, served: Serving) -> None:
    served.await_welcome()
    assert served.shell("prefect deployment run benchmark/on-demand").wait(240) == 0
    until(lambda: any(run.state_name == "Running" for run in served.flow_runs()), "a run", served.text)
    served.process.kill()
    served.process.wait()
    until(lambda: is_free(served.port), "the end of its server", served.text)
    again = Serving(folder, port=served.port)  # the configuration that the killed process left is that of this server
    try:
        again.await_welcome()
        assert runs_of(folder / "home") == [("CRASHED", "the process that ran it is gone")]
        assert_ends_cleanly(again)
    finally:
        end_tree(again.process)


@pytest.mark.slow
def test_objects_of_others_on_a_shared_server_are_not_touched(folder: Path) -> None:
    from prefect.states import Running

    site = Site(folder, server={})
    try:
        site.start_server()
        site.await_server()
        with site.client() as client:
            flow = client.create_flow_from_name("benchmark")
            theirs = client.create_deployment(flow, "nightly", description="Alice's.")
            run = client.create_flow_run_from_deployment(theirs, state=Running())
            refused = site.ended(site.begin("-m", "nerbench.flows.cli", "serve", cwd=folder), status=2)
            assert re.search(
                "deployment benchmark/nightly: belongs to an unknown owner; .*prefect deployment delete", refused
            )
            assert client.read_flow_run(run.id).state_name == "Running"
            assert [one.description for one in client.read_deployments()] == ["Alice's."]
    finally:
        site.end()


def assert_ends_cleanly(served: Serving) -> None:
    children = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(GONE_WITHIN_S) == 0
    assert [child for child in children if child.is_running()] == []
    assert served.text().splitlines()[-1] == "ending"
    assert not served.file.exists()
    for folder in ("nerbench-runs", "nerbench-served"):
        assert list((served.home / folder).iterdir()) == []
