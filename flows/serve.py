"""`nerbench serve`: run a Prefect server and all deployments of `deployments/prefect.yaml` on this machine.

Each deployment has an owner, so that a serving process leaves the runs of other processes alone.

The description of a deployment on the server ends with its owner. A file in PREFECT_HOME lists the runs, so that a
later process knows which runs ended with a process that could not report this.
"""

import asyncio
import json
import os
import pwd
import re
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

import psutil
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import ConcurrencyLimitConfig, FlowRun, State, StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.runner import Runner
from prefect.schedules import Schedule
from prefect.settings import PREFECT_HOME
from prefect.states import Cancelled, Crashed
from prefect.types.entrypoint import EntrypointType

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.paths import write_whole
from nerbench.flows.alerts import create_alerts, end_lost_runs
from nerbench.flows.server import Served, children_ended, served_at
from nerbench.tasks.config import Config
from nerbench.tasks.config.permissions import CODE, grant
from nerbench.tasks.config.variables import escape
from nerbench.tasks.environment import code_version

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
        whose = f"{owner.user} on {owner.host}, in {owner.folder}" if owner else "an unknown owner"
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


PREFECT_FILE = Path(__file__).parents[1] / "deployments" / "prefect.yaml"


def serve(config: Config, *, port: int, limit: int, alert_url: str | None, tell: Callable[[str], None]) -> None:
    """Serve the deployments with this configuration until Ctrl-C or SIGTERM, then end all child processes.

    The server is the one in PREFECT_API_URL or in the Prefect profile, otherwise a new server at `port` with a SQLite
    database in PREFECT_HOME. At most `limit` runs are active at a time. Raises InputError if the port is in use or a
    deployment belongs to another owner, and RunFailedError if the server does not start.
    """
    with served_at(port) as server:
        name = "own" if server.own else server.api
        runner = _Runner(name="nerbench", limit=limit)
        file = _file_for(server.api)
        served = deployments({"config": str(file)})
        claim(served, ours=server.own)
        for deployment in served:
            runner.add_deployment(deployment)
        _settle(abandoned_runs(name, ours=server.own), Crashed(message="the process that ran it is gone"))
        end_lost_runs()
        if alert_url:
            create_alerts(alert_url)
        with recorded_runs(name) as record, _written(config, file):
            with children_ended(), suppress(KeyboardInterrupt):
                asyncio.run(runner.serve(record, partial(tell, _welcome(server, served))))
            tell("ending")
            _settle(runner.begun, Cancelled(message="`nerbench serve` was ended"))


def _file_for(api: str) -> Path:
    """The file of the configuration that is served on a server, because Prefect's form shows a file name in one line.

    Its name is always the same, so that queued runs of an ended process still find it, and a killed process leaves no
    more than one.
    """
    home: Path = PREFECT_HOME.value()
    return home / "nerbench-served" / f"{sha256_hex(api.encode())[:16]}.yaml"


@contextmanager
def _written(config: Config, path: Path) -> Iterator[None]:
    """Write a configuration to a file that runs may read, and remove it at the end."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    data = escape(config.model_dump(mode="json"), optional=("models",))
    write_whole(path, [yaml.safe_dump(data, sort_keys=False).encode()])
    grant(CODE, str(path))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def deployments(parameters: dict[str, Any] | None = None) -> list[RunnerDeployment]:
    """The deployments of `deployments/prefect.yaml`, for a process that runs them without a work pool.

    `parameters` are default values for flows that have these parameters.
    """
    declared = yaml.safe_load(PREFECT_FILE.read_text())["deployments"]
    return [_deployment(one, parameters or {}) for one in declared]


def _deployment(declared: dict[str, Any], parameters: dict[str, Any]) -> RunnerDeployment:
    flow: Flow[..., Any] = load_flow_from_entrypoint(declared["entrypoint"])
    code = code_version()
    known = {name: value for name, value in parameters.items() if name in flow.parameters.properties}
    found = flow.to_deployment(
        declared["name"],
        schedules=[Schedule(**one) for one in declared.get("schedules", ())],
        triggers=[DeploymentEventTrigger.model_validate(one) for one in declared.get("triggers", ())],
        concurrency_limit=ConcurrencyLimitConfig.model_validate(declared["concurrency_limit"]),
        tags=declared["tags"],
        parameters=known | declared.get("parameters", {}),
        version=f"{(code['commit'] or '')[:7]}{'-dirty' if code['dirty'] else ''}" or None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(found, RunnerDeployment)
    return found


def _settle(runs: list[UUID], state: State) -> None:
    """Set a final state for runs without a process; a run that stays `Running` would block later runs."""
    if not runs:
        return
    active = FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    left = FlowRunFilter(id=FlowRunFilterId(any_=runs), state=FlowRunFilterState(type=active))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=left):
            client.set_flow_run_state(run.id, state, force=True)


class _Runner(Runner):
    """A runner that handles SIGTERM like Ctrl-C and records each run that it starts.

    Prefect's own signal handler waits for the event loop that it interrupts.
    """

    async def serve(self, record: Callable[[UUID], None], ready: Callable[[], None]) -> None:
        """Run until a signal arrives; call `ready` once signals are handled."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self.begun: list[UUID] = []
        self._record = record
        self._end = partial(loop.call_soon_threadsafe, task.cancel)
        before = signal.signal(signal.SIGTERM, self.handle_sigterm)
        try:
            ready()
            with suppress(asyncio.CancelledError):
                await self.start()
        finally:
            signal.signal(signal.SIGTERM, before)

    async def __aenter__(self) -> Self:
        """Enter, and record each run after the server's consent and before its process starts."""
        await super().__aenter__()
        start = self._scheduled_run_poller._resolve_starter

        def recorded(flow_run: FlowRun) -> Any:
            self.begun.append(flow_run.id)
            self._record(flow_run.id)
            return start(flow_run)

        self._scheduled_run_poller._resolve_starter = recorded
        return self

    def handle_sigterm(self, *_: Any) -> None:
        self._end()


def _welcome(server: Served, served: list[RunnerDeployment]) -> str:
    names = "\n".join(f"  {one.full_name}{_when(one)}" for one in served)
    use = f". {shlex.quote(str(server.environment))}" if server.environment else f"export PREFECT_API_URL={server.api}"
    return f"""Prefect is at {_page(server)}, and serves
{names}
in another terminal:
  {use}
  prefect deployment run pipeline/on-demand --watch
  prefect deployment run benchmark/nightly --watch
  nerbench results show
Ctrl-C stops it; without it, nothing runs at night"""


def _page(server: Served) -> str:
    """The link, if a user sits at a terminal; otherwise only its location, because others may read a log."""
    if server.own and not sys.stderr.isatty():
        return f"{server.api.removesuffix('/api')} (the link with its password is in {server.environment})"
    return server.page


def _when(deployment: RunnerDeployment) -> str:
    crons = [one.schedule for one in deployment.schedules or () if isinstance(one.schedule, CronSchedule)]
    return "".join(f"    {cron.cron} {cron.timezone}" for cron in crons)
