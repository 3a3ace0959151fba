"""A team's Prefect in a folder: server, process work pool and worker on free ports, and the commands to use them."""

import atexit
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import psutil

from nerbench.flows.server import SERVE, protection

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
QUICK = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
    "PREFECT_WORKER_QUERY_SECONDS": "0.5",
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
}
"""Shorter intervals than by default, so that tests wait less."""
CALM = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
}
PATIENCE_S = 240.0
T = TypeVar("T")


def until(look: Callable[[], T], what: str, said: Callable[[], str] = str) -> T:
    """The first true result of `look`; `said` is part of the message if there is none."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what} {said()}"
        time.sleep(0.1)
    return found


_session = os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())
_migrated = Path(tempfile.gettempdir()) / f"nerbench-tests-{_session}.db"
"""A copy of the first server's database with its tables: creating them takes half of the start."""


def keep_database(database: Path) -> None:
    """Keep the database of a new server, so that later servers of this session start with a copy."""
    if not _migrated.exists():
        unfinished = _migrated.with_suffix(f".{os.getpid()}")
        with closing(sqlite3.connect(database)) as ours, closing(sqlite3.connect(unfinished)) as copy:
            ours.backup(copy)
        unfinished.replace(_migrated)
        atexit.register(_migrated.unlink, missing_ok=True)


def make_home(home: Path) -> None:
    """Make a home for a Prefect, with a copy of the kept database if there is one."""
    home.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        shutil.copy(_migrated, home / "prefect.db")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment(home: Path, cache: Path) -> dict[str, str]:
    """The environment of a process with a separate Prefect, without settings from outside."""
    if not home.exists():
        make_home(home)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | CALM | QUICK | {"PREFECT_HOME": str(home), "NERBENCH_CACHE": str(cache)}


class Site:
    """A server and its worker; the worker's folder contains `nerbench.yaml`, store and results.

    `server` adds to the environment of all processes. The server requires a credential: `auth` with the settings in
    `server`, or else a generated one with the protection of `nerbench serve`.
    """

    def __init__(self, folder: Path, *, server: Mapping[str, str], auth: str | None = None) -> None:
        self.work = folder / "work"
        self.cache = folder / "cache"
        self.api = f"http://{HOST}:{free_port()}/api"
        self.auth = auth or "site:password"
        protected = {"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else protection(self.api, self.auth)
        self.env = environment(folder / "home", self.cache) | server | protected
        self.env["PREFECT_API_AUTH_STRING"] = self.auth
        self.logs = folder / "logs"
        self.running: dict[str, subprocess.Popen[Any]] = {}
        """The processes that run until the site ends, by name: `server`, `worker`."""
        self._started: list[subprocess.Popen[Any]] = []
        for made in (self.work, self.logs):
            made.mkdir()

    def start(self, name: str, *command: str, cwd: Path = ROOT, pass_fds: Sequence[int] = ()) -> None:
        """Start a process that runs until the site ends, with a log of that name."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=cwd,
                env=self.env,
                stdin=subprocess.PIPE,  # a server of nerbench ends when it is closed
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
            )
        self.running[name] = process
        self._started.append(process)

    def start_server(self) -> None:
        """Start the server; `await_server` waits for it. On SQLite, it is the server of `nerbench serve`."""
        port = self.api.split(":")[2].removesuffix("/api")
        if DATABASE in self.env:
            self.start("server", "-m", "prefect", "server", "start", "--host", HOST, "--port", port, "--no-ui")
            return
        with socket.create_server((HOST, int(port))) as listening:
            socket_fd = listening.fileno()
            self.start("server", "-c", SERVE, str(socket_fd), "pages", pass_fds=[socket_fd])

    def await_server(self) -> None:
        def healthy() -> bool:
            assert self.running["server"].poll() is None, self.log("server")
            with suppress(OSError), urlopen(f"{self.api}/health", timeout=5):
                return True
            return False

        until(healthy, "the Prefect server", lambda: self.log("server"))
        if DATABASE not in self.env:
            keep_database(Path(self.env["PREFECT_HOME"]) / "prefect.db")
        self.env["PREFECT_API_URL"] = self.api

    def deploy(self) -> None:
        """Deploy with the command in `deployments/prefect.yaml`."""
        self.prefect("work-pool", "create", "local", "--type", "process")
        self.prefect("--no-prompt", "deploy", "--prefect-file", "deployments/prefect.yaml", "--all")

    def start_worker(self, *command: str) -> None:
        """Start a worker, by default for two concurrent runs."""
        command = command or ("prefect", "worker", "start", "--pool", "local", "--limit", "2")
        self.start("worker", "-m", *command, cwd=self.work)

    def prefect(self, *arguments: str, status: int = 0) -> str:
        """Run a `prefect` command in the checkout, and return what it prints."""
        return self.ended(self.begin("-m", "prefect", *arguments), status)

    def begin(self, *command: str, cwd: Path = ROOT) -> "subprocess.Popen[str]":
        """Start a command; `ended` returns its output."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, *command], cwd=cwd, env=self.env, text=True, stdout=pipe, stderr=pipe
        )
        self._started.append(process)
        return process

    def ended(self, process: "subprocess.Popen[str]", status: int = 0) -> str:
        """The output of a command. Waits for its end, which must have this status."""
        said = "".join(process.communicate(timeout=PATIENCE_S))
        assert process.returncode == status, f"{said}\n{self.log('worker')[-4000:]}"
        return said

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text() if path.exists() else ""

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Prefect's client of this server."""
        with client_of(self.api, self.auth) as client:
            yield client

    def end(self) -> None:
        """End everything, the newest first, with all its children."""
        for process in reversed(self._started):
            end_tree(process)


@contextmanager
def client_of(api: str, auth: str) -> Iterator[Any]:
    """Prefect's client of a server, whose settings apply to this process within the context."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    settings = {PREFECT_API_URL: api, PREFECT_API_AUTH_STRING: auth}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        yield client


class Serving:
    """A `nerbench serve` in a folder, with Prefect's data in `home`."""

    def __init__(self, folder: Path, *arguments: str, port: int | None = None, **more: str) -> None:
        self.folder, self.home = folder, folder / "home"
        self.port = port or free_port()
        self.said = folder / "said"
        self.env = environment(self.home, folder / "cache") | more
        command = [sys.executable, "-m", "nerbench.flows.cli", "serve", "--port", str(self.port), *arguments]
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=folder, env=self.env, stdout=out, stderr=out)

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def file(self) -> Path:
        """The file that a shell reads to use the server."""
        return self.home / f"nerbench-{self.port}.env"

    @property
    def auth(self) -> str:
        return self.file.read_text().rpartition("=")[2].strip()

    @property
    def link(self) -> str:
        """The link that opens its pages."""
        return self.file.read_text().splitlines()[0].removeprefix("# ")

    def text(self) -> str:
        return self.said.read_text()

    def await_welcome(self) -> None:
        def welcome() -> bool:
            assert self.process.poll() is None, self.text()
            return "Ctrl-C stops it" in self.text()

        until(welcome, "nerbench serve", self.text)

    def shell(self, command: str) -> "subprocess.Popen[str]":
        """Start a command in another terminal, after the line that `nerbench serve` prints."""
        line = next(line for line in self.text().splitlines() if line.startswith("  . "))
        script = f"{line}\nexec {shlex.quote(sys.executable)} -m {command}"
        pipe = subprocess.PIPE
        return subprocess.Popen(
            ["sh", "-c", script], cwd=self.folder, env=self.env, text=True, stdout=pipe, stderr=pipe
        )

    def client(self) -> AbstractContextManager[Any]:
        """Prefect's client of the server."""
        return client_of(f"{self.origin}/api", self.auth)

    def flow_runs(self) -> list[Any]:
        with self.client() as client:
            found: list[Any] = client.read_flow_runs()
        return found


def end_tree(process: "subprocess.Popen[Any]") -> None:
    """End a process and its children."""
    with suppress(psutil.NoSuchProcess):
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for member in tree:
                with suppress(psutil.NoSuchProcess):
                    end(member)
            _, tree = psutil.wait_procs(tree, 10)
    process.wait()
