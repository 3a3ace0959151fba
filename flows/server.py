"""Prefect servers of our own, where no other is configured: `nerbench serve`'s, and that of a single command.

For a flow without a server Prefect itself would start one, wait for it, and import all of it into the flow's process:
five seconds in which nothing else happens. A command begins its server before it imports and checks anything else.

Whoever may start a run may run code. So each server has a random credential of its own, which its clients and their
children get through settings and environment, never through an argument; `flows/server_process.py` has the other guards.
"""

import atexit
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import psutil

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.tasks.child import PARENT

HOST = "127.0.0.1"
SERVER = {
    # So that a server that is started again knows which runs count towards a limit, and for how long.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
STARTS_WITHIN_S, ENDS_WITHIN_S = 120.0, 10.0


class Begun(NamedTuple):
    """A server that may not answer yet."""

    process: "subprocess.Popen[bytes]"
    api: str
    credential: str
    """Of the form `user:password`, as HTTP's basic authentication has it."""
    output: IO[bytes] | None
    """What it says, where nobody sees it."""


class Served(NamedTuple):
    """A server that answers, and how people reach it."""

    api: str
    own: bool
    """Whether it is ours, and ends with us."""
    page: str
    """Where a browser opens it; the link to a server of our own holds its credential."""
    environment: Path | None = None
    """The file that a shell reads to use a server of our own."""


def is_configured() -> bool:
    """Whether Prefect's API is somebody else's, or has to be: then we start none."""
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

    return bool(PREFECT_API_URL.value()) or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value()


def begin() -> None:
    """Begin a server for this process, unless one is configured; whoever needs it, waits for it in `ready`."""
    if not is_configured():
        _own()


@contextmanager
def ready() -> Iterator[None]:
    """Prefect's API answers: the configured one, or this process's. Raises RunFailedError where the latter does not."""
    if is_configured():
        yield
        return
    own = _own()
    _wait_until_healthy(own)
    with _used(own):
        yield


@cache
def _own() -> Begun:
    """This process's server, which ends when the process has told it everything. Its database lies in PREFECT_HOME."""
    with socket.create_server((HOST, 0)) as listening:
        begun = begin_at(listening)
    atexit.register(_end, begun.process)
    return begun


def begin_at(listening: socket.socket, *, pages: bool = False) -> Begun:
    """Begin a server on a socket that listens; with `pages`, one for people, with schedules and its log on stderr.

    In a session of its own Ctrl-C does not reach it: a run that is cancelled then must still be recorded.
    """
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING

    output = None if pages else tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    api = "http://{}:{}/api".format(*listening.getsockname())
    credential = PREFECT_SERVER_API_AUTH_STRING.value() or f"nerbench:{secrets.token_urlsafe(32)}"
    environment = {**os.environ, **(SERVER if pages else {}), **protection(api, credential)}
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "nerbench.flows.server_process",
            str(listening.fileno()),
            *(["pages"] if pages else []),
        ],
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=output,
        pass_fds=(listening.fileno(),),
        start_new_session=True,
        env={**environment, PARENT: str(os.getpid())},
    )
    return Begun(process, api, credential, output)


def protection(api: str, credential: str) -> dict[str, str]:
    """The environment of a server that answers only to clients with this credential, and to its own pages."""
    return {
        "PREFECT_SERVER_API_AUTH_STRING": credential,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": api.removesuffix("/api"),
        "PREFECT_SERVER_UI_API_URL": "/api",  # of the page's own origin, whichever name of this machine that has
    }


@contextmanager
def _used(server: Begun) -> Iterator[None]:
    """Use a server of our own: this process, its threads, and by environment the processes that it starts meanwhile.

    Threads that inherit no context, as Prefect's for events, see the global settings. Without the address there they
    would start another server, which is Prefect's own and lets everybody in.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
        temporary_settings,
    )

    access = {
        PREFECT_API_URL: server.api,
        PREFECT_API_AUTH_STRING: server.credential,
        PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: "true",
    }
    before = {setting.name: os.environ.get(setting.name) for setting in access}
    try:
        os.environ |= {setting.name: value for setting, value in access.items()}
        refresh_global_settings_context()
        with temporary_settings(access):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ.update({} if value is None else {name: value})
        refresh_global_settings_context()


def _end(process: "subprocess.Popen[bytes]") -> None:
    for end in (process.terminate, process.kill):
        end()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN_S)
            return


@contextmanager
def served_at(port: int) -> Iterator[Served]:
    """The server that is configured, or one of our own with pages, that lives as long as the context.

    Within, Prefect's settings are those of a client of it. Raises InputError where the port is taken, and
    RunFailedError where the server does not start.
    """
    from prefect.settings import PREFECT_API_URL

    if configured := PREFECT_API_URL.value():
        yield Served(configured, own=False, page=configured.removesuffix("/api"))
        return
    try:
        listening = socket.create_server((HOST, port))
    except OSError:
        remedy = f"name another one, or export PREFECT_API_URL=http://{HOST}:{port}/api if that is a Prefect server"
        raise InputError(f"--port {port}", "something listens there already", remedy) from None
    with children_ended():
        with listening:
            server = begin_at(listening, pages=True)
        _wait_until_healthy(server)
        page = f"{server.api.removesuffix('api')}open#{quote(server.credential, safe=':')}"
        with _used(server), _environment_file(server, port, page) as file:
            yield Served(server.api, own=True, page=page, environment=file)


@contextmanager
def _environment_file(server: Begun, port: int, page: str) -> Iterator[Path]:
    """A file for `.` in a shell, which only this user can read."""
    from prefect.settings import PREFECT_HOME

    wanted = {"PREFECT_API_URL": server.api, "PREFECT_API_AUTH_STRING": server.credential}
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in wanted.items())
    path = PREFECT_HOME.value() / f"nerbench-{port}.env"
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"# {page}\n{exports}")
    Path(unfinished).replace(path)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _wait_until_healthy(server: Begun) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RunFailedError(
                f"the Prefect server ended with status {server.process.returncode}{_last_line(server)}"
            )
        with suppress(URLError, OSError), urlopen(f"{server.api}/health", timeout=5):
            return
        time.sleep(0.05)
    raise RunFailedError(f"the Prefect server did not answer within {STARTS_WITHIN_S:.0f} s")


def _last_line(server: Begun) -> str:
    if server.output is None:
        return ""
    server.output.seek(0)
    return "".join(f": {line}" for line in server.output.read().decode(errors="replace").strip().splitlines()[-1:])


@contextmanager
def children_ended() -> Iterator[None]:
    """However it is left, what was started meanwhile has ended: runs, their children, and the server."""
    before = set(psutil.Process().children(recursive=True))
    try:
        yield
    finally:
        started = [child for child in psutil.Process().children(recursive=True) if child not in before]
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for child in started:
                with suppress(psutil.NoSuchProcess):
                    end(child)
            _, started = psutil.wait_procs(started, ENDS_WITHIN_S)
