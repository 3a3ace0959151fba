"""The Prefect server of a single command answers, and ends with the process that started it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from prefect_site import make_home

SCRIPT = """
from nerbench.flows import server
server.start()
with server.ready():
    from prefect.client.orchestration import get_client
    with get_client(sync_client=True) as client:
        print(client.read_flows(), server._started().process.pid, flush=True)
    input()
"""
GONE_WITHIN_S = 240.0

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of Prefect, shared by all tests: creating its database takes ten seconds."""
    home = tmp_path_factory.mktemp("home")
    make_home(home)
    return home


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder of a user with packages of the same names."""
    for name in ("flows", "tasks", "artifacts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong one')")
    return tmp_path


def begun(folder: Path, home: Path, *, script: str = SCRIPT, **more: str) -> "subprocess.Popen[str]":
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = own | {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"} | more
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", script]
    return subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def process(foreign: Path, home: Path) -> Iterator["subprocess.Popen[str]"]:
    one = begun(foreign, home)
    yield one
    one.kill()
    one.communicate()


def server_of(process: "subprocess.Popen[str]") -> psutil.Process:
    assert process.stdout
    flows, pid = process.stdout.readline().split()
    assert flows == "[]"
    return psutil.Process(int(pid))


def gone(server: psutil.Process) -> bool:
    deadline = time.monotonic() + GONE_WITHIN_S
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    return not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_it_answers_until_its_process_ends_by_itself(process: "subprocess.Popen[str]") -> None:
    server = server_of(process)
    said, complaints = process.communicate("\n", timeout=GONE_WITHIN_S)
    assert (process.returncode, said, complaints) == (0, "", "")
    assert gone(server)


@pytest.mark.slow
def test_it_is_gone_when_its_process_is_killed(process: "subprocess.Popen[str]") -> None:
    server = server_of(process)
    process.send_signal(signal.SIGKILL)
    assert gone(server)


@pytest.mark.slow
def test_a_server_that_cannot_start_reports_the_reason(foreign: Path, home: Path) -> None:
    nowhere = f"sqlite+aiosqlite:///{foreign}/no/such/folder/x.db"
    broken = begun(foreign, home, PREFECT_API_DATABASE_CONNECTION_URL=nowhere)
    _, said = broken.communicate(timeout=240)
    assert broken.returncode == 1
    reason = "status 3: sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) unable to open database file; check"
    assert f"RunFailedError: the Prefect server ended with {reason}" in said.splitlines()[-1]


@pytest.mark.slow
def test_settings_of_another_server_and_proxies_are_ignored(foreign: Path, home: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    elsewhere = {"PREFECT_API_KEY": "key", "PREFECT_API_AUTH_STRING": "a:b", "PREFECT_SERVER_API_BASE_PATH": "/other"}
    one = begun(foreign, home, http_proxy=nowhere, HTTP_PROXY=nowhere, ALL_PROXY=nowhere, **elsewhere)
    said, complaints = one.communicate("\n", timeout=GONE_WITHIN_S)
    assert (one.returncode, complaints) == (0, "")
    assert said.startswith("[] ")


@pytest.mark.slow
def test_it_outlives_the_thread_that_starts_it(foreign: Path, home: Path) -> None:
    in_thread = "import threading; one = threading.Thread(target=server.start); one.start(); one.join()"
    script = SCRIPT.replace("server.start()", in_thread)
    one = begun(foreign, home, script=script)
    said, complaints = one.communicate("\n", timeout=GONE_WITHIN_S)
    assert (one.returncode, complaints) == (0, "")
    assert said.startswith("[] ")


@pytest.mark.parametrize(
    ("variables", "no_proxy"),
    [
        ({}, None),
        ({"NO_PROXY": "example.org"}, None),
        ({"http_proxy": "http://proxy:1"}, "127.0.0.1"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "example.org"}, "example.org,127.0.0.1"),
        ({"SOCKS_PROXY": "http://proxy:1", "no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1"),
        ({"ALL_PROXY": "http://proxy:1", "no_proxy": "*"}, "*"),
    ],
)
def test_no_proxy_gets_requests_to_the_server(
    variables: dict[str, str], no_proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebSocket connection, whose first message is the credential, went to a proxy of SOCKS or HTTPS."""
    from websockets.proxy import get_proxy
    from websockets.uri import parse_uri

    from nerbench.flows import server

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with server._used(server.Started(cast(Any, None), "http://127.0.0.1:1/api", "user:password", None)):
        assert os.environ.get("no_proxy") == no_proxy
        assert get_proxy(parse_uri("ws://127.0.0.1:4200/api")) is None
    assert dict(os.environ) == before


def test_another_one_starts_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from nerbench.flows import server

    ended = cast(Any, subprocess.Popen([sys.executable, "-c", ""]))
    ended.wait()
    started: list[Any] = []

    def start_at(*_: Any) -> server.Started:
        started.append(server.Started(ended, "", "", None))
        return started[-1]

    monkeypatch.setattr(server, "is_configured", lambda: False)
    monkeypatch.setattr(server, "start_at", start_at)
    server._started.cache_clear()
    try:
        server.start()
        server.start()
        assert len(started) > 1
    finally:
        server._started.cache_clear()


@pytest.mark.slow
def test_a_server_ends_by_itself_if_a_profile_has_another(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://example.org"\n'
    )
    script = "from nerbench.flows import server; server.start(); print(server._started().process.wait(60))"
    script += "; from prefect.settings import PREFECT_API_URL; print(server.is_configured(), PREFECT_API_URL.value())"
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    command, environment = [sys.executable, "-c", script], own | {"PREFECT_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "http://example.org"]


def test_there_is_something_to_do_while_a_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from nerbench.flows import server

    done = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        starting = server.Started(cast(Any, None), "http://{}:{}/api".format(*listening.getsockname()), "a:b", None)
        monkeypatch.setattr(server, "is_configured", lambda: False)
        monkeypatch.setattr(server, "_started", lambda: starting)
        monkeypatch.setattr(server, "_wait_until_healthy", lambda own: done.append("ready"))
        with server.ready(lambda: done.append("before_ready")):
            pass
        monkeypatch.setattr(server, "_answers", lambda own, within_s: True)
        with server.ready(lambda: done.append("before_ready")):
            pass
    assert done == ["before_ready", "ready", "ready"]


def test_a_configured_server_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from nerbench.flows import server

    monkeypatch.setattr(server, "_check_configured", lambda: None)
    with temporary_settings({PREFECT_API_URL: "http://example.org/api"}):
        server.start()
        with server.ready():
            assert PREFECT_API_URL.value() == "http://example.org/api"


def test_a_configured_server_that_does_not_answer_is_one_line() -> None:
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    from nerbench.artifacts.errors import InputError, RunFailedError
    from nerbench.flows import server

    with socket.create_server(("127.0.0.1", 0)) as freed:
        url = "http://{}:{}/api".format(*freed.getsockname())
    with temporary_settings({PREFECT_API_URL: url}):
        for use in (server.ready(), server.served_at(4200)):
            with pytest.raises(RunFailedError, match=r"PREFECT_API_URL cannot be used: .*; start that"), use:
                pass
    required = temporary_settings({PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}, restore_defaults={PREFECT_API_URL})
    with required, pytest.raises(InputError, match="PREFECT_API_URL: is missing"), server.ready():
        pass


def test_a_configured_server_that_never_answers_is_soon_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from nerbench.artifacts.errors import RunFailedError
    from nerbench.flows import server

    monkeypatch.setattr(server, "CHECK_RETRIES", 0)
    monkeypatch.setattr(server, "CHECK_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = "http://{}:{}/api".format(*silent.getsockname())
        with (
            temporary_settings({PREFECT_API_URL: url}),
            pytest.raises(RunFailedError, match=r"PREFECT_API_URL cannot be used: .*; start that"),
            server.ready(),
        ):
            pass
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # there was one request
            silent.accept()


def test_an_occupied_port_is_one_line() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from nerbench.artifacts.errors import InputError
    from nerbench.flows.server import served_at

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(InputError, match=r"--port \d+: something listens there already; name another one, or export"),
        served_at(taken.getsockname()[1]),
    ):
        pass


def test_a_configured_server_is_served_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from nerbench.flows import server

    monkeypatch.setattr(server, "_check_configured", lambda: None)
    with temporary_settings({PREFECT_API_URL: "http://example.org/api"}), server.served_at(4200) as served:
        assert served == server.Served("http://example.org/api", own=False, page="http://example.org")
