"""`nerbench serve`: run a Prefect server and all deployments of `deployments/prefect.yaml` on this machine."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import ConcurrencyLimitConfig, FlowRun, State, StateType
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.runner import Runner
from prefect.schedules import Schedule
from prefect.states import Cancelled, Crashed
from prefect.types.entrypoint import EntrypointType

from nerbench.flows.alerts import create_alerts
from nerbench.flows.ownership import abandoned_runs, claim, recorded_runs
from nerbench.flows.server import Served, children_ended, served_at
from nerbench.tasks.config import Config
from nerbench.tasks.environment import code_version

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
        served = deployments({"config": config.model_dump(mode="json")})
        claim(served, ours=server.own)
        for deployment in served:
            runner.add_deployment(deployment)
        _settle(abandoned_runs(name, ours=server.own), Crashed(message="the process that ran it is gone"))
        if alert_url:
            create_alerts(alert_url)
        with recorded_runs(name) as record:
            with children_ended(), suppress(KeyboardInterrupt):
                asyncio.run(runner.serve(record, partial(tell, _welcome(server, served))))
            tell("ending")
            _settle(runner.begun, Cancelled(message="`nerbench serve` was ended"))


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
Ctrl-C ends it; nothing runs at night without it"""


def _page(server: Served) -> str:
    """The link, if a user sits at a terminal; otherwise only its location, because others may read a log."""
    if server.own and not sys.stderr.isatty():
        return f"{server.api.removesuffix('/api')} (the link with its password is in {server.environment})"
    return server.page


def _when(deployment: RunnerDeployment) -> str:
    crons = [one.schedule for one in deployment.schedules or () if isinstance(one.schedule, CronSchedule)]
    return "".join(f"    {cron.cron} {cron.timezone}" for cron in crons)
