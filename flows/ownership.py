"""Owners of deployments, and the runs that a serving process started, so that a process leaves those of others alone.

The description of a deployment on the server ends with its owner. A file in PREFECT_HOME lists the runs, so that a
later process knows which runs ended with a process that could not report this.
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
"""Two readings of one process's start time differ by less; those of two processes with the same id by more."""
ENDS_WITHIN_S = 10.0
"""Time after which a killed process has ended, unless it waits for a disk."""
RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""Environment variable of a run's process and its children."""


class Owner(NamedTuple):
    """A process that serves deployments."""

    user: str
    host: str
    pid: int
    started: float
    """Start time in seconds since 1970."""
    folder: str

    def is_alive(self) -> bool:
        """Whether the process runs on this machine; False for a process of another machine."""
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
    """This process as an owner."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return Owner(user, socket.gethostname(), os.getpid(), psutil.Process().create_time(), str(Path.cwd()))


def owner_in(description: str | None) -> Owner | None:
    """The owner in a deployment's description, or None."""
    if not (found := _OWNER.search(description or "")):
        return None
    return Owner(found["user"], found["host"], int(found["pid"]), float(found["started"]), found["folder"])


def claim(deployments: list[RunnerDeployment], *, ours: bool) -> None:
    """Make this process the owner of deployments before they are applied.

    Raises InputError if one belongs to another user or machine, to an unknown owner, or to a running process. On a
    server that is `ours` (its database is in this PREFECT_HOME), only the last case is an error.
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
    """Yield a function that records runs of this process on a server; the end of the context deletes the record."""
    folder = PREFECT_HOME.value() / "nerbench-runs"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{os.getpid()}-{psutil.Process().create_time():.2f}.jsonl"
    with path.open("x", buffering=1) as file:
        file.write(json.dumps({"server": server, "owner": this_process()}) + "\n")

        def record(run: UUID) -> None:
            file.write(f"{run}\n")

        yield record
    path.unlink()


def abandoned_runs(server: str, *, ours: bool) -> list[UUID]:
    """Runs that earlier processes of this machine started on a server and that have no process any more.

    This call deletes their records. If a run outlived the process that started it, it can still report to the server;
    it is stopped if that server was `ours`, because that server is gone.
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
