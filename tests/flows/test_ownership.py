"""Deployments belong to the process that serves them, and only runs of an ended process are abandoned."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.artifacts.errors import InputError

NAMES = st.from_regex(r"[^\s@]+", fullmatch=True)


@settings(deadline=None)
@given(
    NAMES,
    st.from_regex(r"\S+", fullmatch=True),
    st.integers(1, 2**22),
    st.integers(0, 2**40),
    st.from_regex(r"/[^\n\r]{0,40}[^\s]", fullmatch=True),
    st.none() | st.sampled_from(["Benchmark models.", "Served by hand.\n\nTwice."]),
)
def test_a_description_names_its_last_owner(
    user: str, host: str, pid: int, centiseconds: int, folder: str, description: str | None
) -> None:
    from nerbench.flows.serve import Owner, owner_in

    owner = Owner(user, host, pid, centiseconds / 100, folder)
    described = owner.describe(Owner("earlier", "elsewhere", 1, 1.0, "/").describe(description))
    assert owner_in(described) == owner
    assert described == owner.describe(description)
    assert described.startswith(description or "Served by ")
    assert owner_in(description) is None


def ended() -> psutil.Process:
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = psutil.Process(process.pid)
    found.create_time()
    process.communicate(b"\n")
    return found


def test_a_process_is_identified_by_id_and_start_time() -> None:
    from nerbench.flows.serve import Owner, this_process

    me = this_process()
    assert me.is_alive()
    assert not me._replace(started=me.started - 60).is_alive(), "another process with the same number"
    assert not me._replace(host="elsewhere").is_alive()
    gone = ended()
    assert not Owner(me.user, me.host, gone.pid, gone.create_time(), me.folder).is_alive()


GONE = {"pid": 2**22 + 1}
REFUSED = [
    ({"user": "alice"}, False, "belongs to alice on"),
    ({"host": "elsewhere"}, False, "belongs to .* on elsewhere, in "),
    (None, False, "belongs to an unknown owner"),
    ({"pid": os.getppid()}, False, f"process {os.getppid()} serves it in"),
    ({"pid": os.getppid()}, True, f"process {os.getppid()} serves it in"),
]


@pytest.mark.parametrize(("changed", "ours", "said"), REFUSED)
def test_a_deployment_of_another_owner_is_refused(changed: dict[str, object] | None, ours: bool, said: str) -> None:
    from nerbench.flows.serve import _check_free, this_process

    me = this_process()
    owner = None
    if changed is not None:
        parent = psutil.Process(os.getppid()).create_time()
        owner = me._replace(**(GONE | {"started": parent} | changed))
    with pytest.raises(InputError, match=f"^deployment benchmark/nightly: {said}.*; .*") as refused:
        _check_free("benchmark/nightly", owner, me, ours)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("changed", [{}, {"folder": "/elsewhere"}])
def test_earlier_deployments_of_the_same_owner_are_reused(changed: dict[str, str]) -> None:
    from nerbench.flows.serve import _check_free, this_process

    me = this_process()
    _check_free("benchmark/nightly", me._replace(**(GONE | changed)), me, False)
    for owner in (None, me._replace(user="alice", **GONE), me._replace(host="a container", **GONE)):
        _check_free("benchmark/nightly", owner, me, True)  # the database is in our PREFECT_HOME


RECORDING = """
import sys, time
from uuid import UUID
from nerbench.flows.serve import recorded_runs
with recorded_runs(sys.argv[1]) as record:
    for run in sys.argv[2:]:
        record(UUID(run))
    print("recorded", flush=True)
    time.sleep(600)
"""


def recording(home: Path, server: str, *runs: UUID) -> "subprocess.Popen[str]":
    """A live process that has recorded runs."""
    command = [sys.executable, "-c", RECORDING, server, *map(str, runs)]
    process = subprocess.Popen(command, env=os.environ | {"PREFECT_HOME": str(home)}, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "recorded\n"
    return process


@pytest.mark.slow
def test_runs_of_a_killed_process_are_abandoned_once_and_only_those(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_HOME, temporary_settings

    from nerbench.flows.serve import RUN_VARIABLE, abandoned_runs

    gone, outliving, of_other_server, of_living = uuid4(), uuid4(), uuid4(), uuid4()
    killed = recording(tmp_path, "http://team/api", gone, outliving)
    elsewhere = recording(tmp_path, "own", of_other_server)
    living = recording(tmp_path, "http://team/api", of_living)
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(sleeping, env=os.environ | {RUN_VARIABLE: str(outliving)})
    orphan = subprocess.Popen(sleeping, env=os.environ | {RUN_VARIABLE: str(of_other_server)})
    try:
        with temporary_settings({PREFECT_HOME: tmp_path}):
            for process in (killed, elsewhere):
                process.kill()
                process.wait()
            assert abandoned_runs("http://team/api", ours=False) == [gone]
            assert child.poll() is None, "it can tell that server itself"
            child.kill()
            child.wait()
            assert set(abandoned_runs("http://team/api", ours=False)) == {gone, outliving}
            assert abandoned_runs("http://team/api", ours=False) == []
            assert abandoned_runs("own", ours=True) == [of_other_server]
            assert orphan.poll() is not None, "its server ended with the process that began it"
            assert len(list((tmp_path / "nerbench-runs").iterdir())) == 1
    finally:
        for process in (killed, elsewhere, living, child, orphan):
            process.kill()
            process.wait()


def test_records_of_other_machines_are_left_alone(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_HOME, temporary_settings

    from nerbench.flows.serve import abandoned_runs

    killed = recording(tmp_path, "own", uuid4())
    killed.kill()
    killed.wait()
    (record,) = (tmp_path / "nerbench-runs").iterdir()
    record.write_text(record.read_text().replace(f'"{socket.gethostname()}"', '"elsewhere"'))
    (record.parent / "1-1.jsonl").touch()
    with temporary_settings({PREFECT_HOME: tmp_path}):
        assert abandoned_runs("own", ours=True) == []
    assert record.exists()


def test_the_served_configuration_is_a_private_file_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_HOME, temporary_settings

    from nerbench.flows.serve import _file_for, _written
    from nerbench.tasks.config import Config
    from nerbench.tasks.config.loading import load_config
    from nerbench.tasks.config.permissions import CODE, require_configuration

    monkeypatch.setenv(CODE, str(tmp_path / "code"))
    config = Config(store="/models/${unexpanded}", results="/tables")
    with temporary_settings({PREFECT_HOME: tmp_path / ".prefect"}):
        file = _file_for("http://team/api")
        assert file == _file_for("http://team/api") != _file_for("http://other/api")
        for _ in range(2):
            file.parent.parent.mkdir(exist_ok=True)
            with _written(config, file):
                assert load_config(file, needs=()).model_dump() == config.model_dump()
                assert file.parent.stat().st_mode & 0o077 == 0
                require_configuration("config", file)
            assert not file.exists()
