"""Prefect servers that nerbench starts if no other is configured: for `nerbench serve` and for a single command.

Without a server, Prefect would start one, wait for it, and import all of it into the flow's process, which takes five
seconds. Therefore, a command starts its server before it imports and checks anything else, even Prefect's settings.

Anyone who can start a run can run code. Each server therefore has a random credential, which its clients and their
children get through settings and environment, never through an argument; `server_app` has further protections.
"""

import atexit
import os
import re
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.flows.python_gc import collect_less, importing

HOST = "127.0.0.1"
SERVER = {
    # A restarted server then knows which runs count towards a limit, and for how long.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
}
RECORDER = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_"
BATCHED = {f"{RECORDER}BATCH_SIZE": "200", f"{RECORDER}READ_BATCH_SIZE": "200", f"{RECORDER}FLUSH_INTERVAL": "1"}
"""Defaults that record many task runs in one transaction, which takes a quarter of the processor time."""
OF_COMMAND = {
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",  # it imports all collections, to compare their blocks
}
"""Defaults of a server for a single command, whose flows use no blocks."""
SERVE = "from nerbench.flows.server import serve; serve()"
UNLESS_CONFIGURED = "unless-configured"
STARTS_WITHIN_S, ENDS_WITHIN_S, AT_ONCE_S = 120.0, 10.0, 0.01
CHECK_RETRIES, CHECK_TIMEOUT_S = 2, 10.0
"""For the first request to a configured API. Prefect's own values take minutes if the API never answers."""


class Started(NamedTuple):
    """A started server that may not answer yet."""

    process: "subprocess.Popen[bytes]"
    api: str
    credential: str
    """`user:password`, as in HTTP basic authentication."""
    output: IO[bytes] | None
    """The file with its output, which is not shown."""


class Served(NamedTuple):
    """A running server, and how to reach it."""

    api: str
    own: bool
    """Whether nerbench started the server and stops it."""
    page: str
    """The link for a browser; for a server of nerbench, it contains the credential."""
    environment: Path | None = None
    """The file that a shell sources to use a server of nerbench."""


def is_configured() -> bool:
    """Whether another Prefect API is configured or required, so that nerbench starts no server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

    return bool(PREFECT_API_URL.value()) or not PREFECT_SERVER_ALLOW_EPHEMERAL_MODE.value()


def start() -> None:
    """Start a server for this process, unless one is configured; `ready` waits for it.

    Before Prefect is imported, which takes half a second, only the environment is known. A server that is not needed
    because of a file, such as a profile, then ends by itself.
    """
    if is_configured() if "prefect" in sys.modules else os.environ.get("PREFECT_API_URL"):
        return
    if _started().process.poll() is not None:  # it failed
        _started.cache_clear()
        _started()


@contextmanager
def ready(before_ready: Callable[[], None] | None = None) -> Iterator[None]:
    """Wait for the configured Prefect API or this process's server.

    `before_ready` is called if there is a server to wait for. Raises RunFailedError if the API does not answer, and
    InputError if none is configured and no server may be started.
    """
    if is_configured():
        _check_configured()
        yield
        return
    own = _started()
    with _used(own):
        if before_ready and not _answers(own, AT_ONCE_S):
            before_ready()
        _wait_until_healthy(own)
        yield


def _check_configured() -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    if not PREFECT_API_URL.value():
        remedy = "name a Prefect API, or allow nerbench to start a server"
        raise InputError("PREFECT_API_URL", "is missing, and PREFECT_SERVER_ALLOW_EPHEMERAL_MODE is false", remedy)
    patience = {PREFECT_CLIENT_MAX_RETRIES: CHECK_RETRIES, PREFECT_API_REQUEST_TIMEOUT: CHECK_TIMEOUT_S}
    try:
        with temporary_settings(patience), get_client(sync_client=True) as client:
            client.api_version()
    except Exception as error:  # of Prefect, httpx and the operating system
        reason = f"the Prefect API at PREFECT_API_URL cannot be used: {error}"
        remedy = "start that server and check its credential, or unset PREFECT_API_URL in the environment and profile"
        raise RunFailedError(f"{reason}; {remedy}") from None


@cache
def _started() -> Started:
    """This process's server, which ends after the process has reported everything. Its database is in PREFECT_HOME."""
    options = [] if "prefect" in sys.modules else [UNLESS_CONFIGURED]
    with socket.create_server((HOST, 0)) as listening:
        begun = start_at(listening, _random_credential(), options)
    atexit.register(_end, begun.process)
    return begun


def _random_credential() -> str:
    return f"nerbench:{secrets.token_urlsafe(32)}"


def start_at(listening: socket.socket, credential: str, options: Sequence[str] = ()) -> Started:
    """Start a server on a listening socket; with the option `pages`, it has web pages, runs schedules and logs to
    stderr.

    It runs in its own session, so that Ctrl-C does not reach it and cancelled runs are still recorded. It ends at once
    when its stdin is closed, also because this process is killed, but not when the thread that started it ends.
    """
    pages = "pages" in options
    output = None if pages else tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    api = "http://{}:{}/api".format(*listening.getsockname())
    defaults = BATCHED if pages else BATCHED | OF_COMMAND
    environment = {**defaults, **os.environ, **(SERVER if pages else {}), **protection(api, credential)}
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-c",
            SERVE,
            str(listening.fileno()),
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=output or subprocess.DEVNULL,
        stderr=output,
        pass_fds=(listening.fileno(),),
        start_new_session=True,
        env=environment,
    )
    return Started(process, api, credential, output)


def serve() -> None:
    """The child process: serve, or end at once because another API is configured."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    collect_less()
    with importing():
        if UNLESS_CONFIGURED in sys.argv and is_configured():
            return
        from nerbench.flows.server_app import main
    main()


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def protection(api: str, credential: str) -> dict[str, str]:
    """The environment of a server that answers only clients with this credential and its own pages."""
    return {
        "PREFECT_SERVER_API_AUTH_STRING": credential,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": api.removesuffix("/api"),
        "PREFECT_SERVER_API_BASE_PATH": "/api",
        "PREFECT_SERVER_UI_API_URL": "/api",  # of the page's own origin, whichever name of this machine that has
    }


@contextmanager
def _used(server: Started) -> Iterator[None]:
    """Use a server of nerbench in this process, its threads and, through the environment, its child processes.

    Threads without an inherited context, such as Prefect's event threads, see the global settings. Without the address
    there, they would start a server of Prefect that has no password. No proxy gets the requests with the credential.
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
    wanted = {setting.name: value for setting, value in access.items()} | _without_proxy()
    before = {name: os.environ.get(name) for name in wanted}
    try:
        os.environ |= wanted
        refresh_global_settings_context()
        with temporary_settings(access):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
        refresh_global_settings_context()


def _without_proxy() -> dict[str, str]:
    """The environment variable that keeps requests to this machine from a proxy; none if there is no proxy.

    Proxies of every kind count: a WebSocket connection prefers one for SOCKS or HTTPS to one for HTTP.
    """
    from urllib.request import getproxies_environment

    proxies = getproxies_environment()
    others = proxies.pop("no", "")
    if not proxies or others == "*":  # a list with a `*` in it would no longer mean all
        return {}
    return {"no_proxy": f"{others},{HOST}" if others else HOST}


def _end(process: "subprocess.Popen[bytes]") -> None:
    for end in (process.terminate, process.kill):
        end()
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN_S)
            return


@contextmanager
def served_at(port: int) -> Iterator[Served]:
    """Yield the configured server, or a server of nerbench with web pages that runs during the context.

    Within the context, Prefect's settings are those of its client. Raises InputError if the port is in use, and
    RunFailedError if the server does not answer.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_API_AUTH_STRING

    if configured := PREFECT_API_URL.value():
        _check_configured()
        yield Served(configured, own=False, page=configured.removesuffix("/api"))
        return
    try:
        listening = socket.create_server((HOST, port))
    except OSError:
        remedy = f"name another one, or export PREFECT_API_URL=http://{HOST}:{port}/api if that is a Prefect server"
        raise InputError(f"--port {port}", "something listens there already", remedy) from None
    credential = PREFECT_SERVER_API_AUTH_STRING.value() or _random_credential()
    with children_ended():
        with listening:
            server = start_at(listening, credential, ["pages"])
        _wait_until_healthy(server)
        page = f"{server.api.removesuffix('api')}open#{quote(server.credential, safe=':')}"
        with _used(server), _environment_file(server, port, page) as file:
            yield Served(server.api, own=True, page=page, environment=file)


@contextmanager
def _environment_file(server: Started, port: int, page: str) -> Iterator[Path]:
    """Write a file to source in a shell, which only this user can read."""
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


def _wait_until_healthy(server: Started) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            remedy = "check the folder PREFECT_HOME and the variables PREFECT_SERVER_*"
            raise RunFailedError(
                f"the Prefect server ended with status {server.process.returncode}{_reason(server)}; {remedy}"
            )
        if _answers(server, 5.0):
            return
        time.sleep(0.05)
    raise RunFailedError(f"the Prefect server did not answer within {STARTS_WITHIN_S:.0f} s")


def _answers(server: Started, within_s: float) -> bool:
    from urllib.request import ProxyHandler, build_opener

    direct = build_opener(ProxyHandler({}))
    with suppress(OSError), direct.open(f"{server.api}/health", timeout=within_s):
        return True
    return False


def _reason(server: Started) -> str:
    """The last exception in the server's output, otherwise the last line."""
    if server.output is None:
        return ""
    server.output.seek(0)
    lines = server.output.read().decode(errors="replace").strip().splitlines()
    exceptions = [line for line in lines if re.match(r"[\w.]+(Error|Exception): ", line)]
    return "".join(f": {line}" for line in (exceptions or lines)[-1:])


@contextmanager
def children_ended() -> Iterator[None]:
    """When the context ends, stop everything started within it: runs, their children and the server."""
    import psutil

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
