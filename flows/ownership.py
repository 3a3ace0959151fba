"""Who serves a deployment, and which runs a serving process began: nobody touches what belongs to somebody else.

The owner stands at the end of a deployment's description on the server. The runs stand in a file of PREFECT_HOME, so
that the next process can tell which ones ended with an earlier one that could no longer say so.
"""

import json
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_HOME

from nerbench.artifacts.errors import InputError

SAME_START_S = 2.0
"""Start times of one process differ by less, and of two with the same number by more."""
ENDS_WITHIN_S = 10.0
"""After so long a killed process is gone, or waits for a disk."""
RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""In the environment of a run's process and of its children."""


class Owner(NamedTuple):
    """A process that serves deployments."""

    user: str
    host: str
    pid: int
    started: float
    """In seconds since 1970."""
    folder: str

    def is_alive(self) -> bool:
        """Whether the process still runs; that of another machine does not run on this one."""
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return False
        return self.host == socket.gethostname() and abs(started - self.started) < SAME_START_S

    def describe(self, description: str | None) -> str:
        """A deployment's description that names this owner."""
        return f"{_OWNER.sub('', description or '').rstrip()}\n\n{_SERVED.format(*self)}".lstrip()


_SERVED = "Served by {}@{}, process {} started {:.2f}, in {}"
_OWNER = re.compile(
    r"Served by (?P<user>[^\s@]+)@(?P<host>\S+), process (?P<pid>\d+) started (?P<started>[\d.]+), in (?P<folder>.+)$"
)


def this_process() -> Owner:
    """The owner of what this process serves."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Owner(user, socket.gethostname(), os.getpid(), psutil.Process().create_time(), str(Path.cwd()))


def owner_in(description: str | None) -> Owner | None:
    """The owner that a deployment's description names, if it names one."""
    if not (found := _OWNER.search(description or "")):
        return None
    return Owner(found["user"], found["host"], int(found["pid"]), float(found["started"]), found["folder"])


def claim(deployments: list[RunnerDeployment], *, ours: bool) -> None:
    """Make this process the owner of deployments that are not applied yet.

    Raises InputError where one belongs to another user or machine, to nobody that is known, or to a process that still
    runs. On a server that is `ours`, whose database is in our PREFECT_HOME, only the last stands in the way.
    """
    me = this_process()
    with get_client(sync_client=True) as client:
        for one in deployments:
            try:
                found = client.read_deployment_by_name(one.full_name)
            except ObjectNotFound:
                found = None
            if found:
                _check_free(one.full_name, owner_in(found.description), me, ours)
            one.description = me.describe(one.description)


def _check_free(deployment: str, owner: Owner | None, me: Owner, ours: bool) -> None:
    field = f"deployment {deployment}"
    if owner and owner.pid != me.pid and owner.is_alive():
        problem = f"process {owner.pid} serves it in {owner.folder}"
        raise InputError(field, problem, "end that process, or give this one another PREFECT_HOME and --port")
    if not ours and (owner is None or (owner.user, owner.host) != (me.user, me.host)):
        whose = f"{owner.user} on {owner.host}, in {owner.folder}" if owner else "somebody else, who does not say who"
        remedy = f"unset PREFECT_API_URL to serve here alone, or remove it: prefect deployment delete {deployment}"
        raise InputError(field, f"belongs to {whose}", remedy)


@contextmanager
def recorded_runs(server: str) -> Iterator[Callable[[UUID], None]]:
    """What is called with each run that this process begins on a server; the record is gone when the context ends."""
    folder = PREFECT_HOME.value() / "nerbench-runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{os.getpid()}-{psutil.Process().create_time():.2f}.jsonl"
    with path.open("x", buffering=1) as file:
        file.write(json.dumps({"server": server, "owner": this_process()}) + "\n")
        yield lambda run: print(run, file=file)
    path.unlink()


def abandoned_runs(server: str, *, ours: bool) -> list[UUID]:
    """Runs that earlier processes of this machine began on a server, and that have no process any more.

    They are forgotten with that. Where a run's own process outlived the one that began it, it can still tell the server
    itself; it is ended if that server was `ours`, and so ended with the other.
    """
    found: list[UUID] = []
    for path in sorted((PREFECT_HOME.value() / "nerbench-runs").glob("*.jsonl")):
        head, *lines = path.read_text().splitlines() or [""]
        if not head:  # its process is about to write it, or died before it did
            continue
        record = json.loads(head)
        owner = Owner(*record["owner"])
        if record["server"] != server or owner.host != socket.gethostname() or owner.is_alive():
            continue
        if ours:
            _kill(_processes_of(lines))
        runs = {line for line in lines if not _processes_of([line])}
        found += map(UUID, sorted(runs))
        if runs == set(lines):
            path.unlink()
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, ENDS_WITHIN_S)


def _processes_of(runs: list[str]) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(RUN_VARIABLE) in runs
    ]
