"""Task runners (threads, processes or Dask), and the limit of concurrent inferences.

To add a kind of runner, add a branch to `task_runner` and `check_runner`, and a name to
`nerbench.tasks.config.schema_run`.
"""

import logging
import multiprocessing
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config, RunnerConfig
from nerbench.tasks.environment import is_importable

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner
    from prefect.tasks import Task

LOCAL = RunnerConfig()
"""Runs steps one after another in the flow's process, for work that needs no worker."""
ANSWERS_WITHIN_S = 10
WITHOUT_WORKERS_S = 600.0
THREADS_THAT_WAIT = 8
_PACKAGE = "nerbench"
Made_co = TypeVar("Made_co", covariant=True)
T = TypeVar("T")
log = logging.getLogger(__name__)


class Work(Protocol[Made_co]):
    """A submitted step: a future or a final state."""

    def result(self, *, raise_on_failure: bool = True) -> Made_co:
        """Wait for the result; raises the exception that ended the step."""


W = TypeVar("W", bound=Work[Any])


def check_runner(config: RunnerConfig) -> None:
    """Raise InputError if the runner is unavailable: its extra is not installed, no scheduler answers, or a part of the
    cluster does not have this version of nerbench."""
    if config.kind != "dask":
        return
    if not is_importable("prefect_dask"):
        raise InputError("runner", "dask is not installed", "pip install 'nerbench[dask]'")
    if config.address:
        try:
            versions = _versions(config.address)
        except (OSError, ValueError, TypeError) as error:  # TimeoutError; an unknown protocol; TLS without certificates
            remedy = "start it, or correct the address; tls:// needs the certificates of distributed.comm.tls"
            raise InputError("runner.address", f"no Dask scheduler answers at {config.address}", remedy) from error
        if len(versions.there) == 1:
            log.warning("the Dask cluster at %s has no worker yet", config.address)
        for name, version in versions.there.items():
            if version != versions.here:
                problem = f"the {name} has {f'nerbench {version}' if version else 'no nerbench'}"
                raise InputError("runner.address", problem, f"install nerbench {versions.here} there")


class _Versions(NamedTuple):
    """The installed versions of nerbench; None if it is not installed."""

    here: str | None
    there: dict[str, str | None]
    """The versions of the scheduler, which unpickles tasks too, and of each worker."""


def _versions(address: str) -> _Versions:
    """The versions of a cluster; raises OSError or ValueError if it cannot be reached."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), ANSWERS_WITHIN_S):
        pass  # otherwise, Dask retries until its own timeout
    from distributed import Client

    with Client(address, timeout=ANSWERS_WITHIN_S, set_as_default=False) as client:
        found = client.get_versions(packages=[_PACKAGE])
    there = {"scheduler": found["scheduler"]} | {f"worker {name}": one for name, one in found["workers"].items()}
    return _Versions(
        found["client"]["packages"][_PACKAGE], {name: one["packages"][_PACKAGE] for name, one in there.items()}
    )


@contextmanager
def fanned_out(config: Config) -> Iterator[None]:
    """Within this context in a flow run, submitted tasks go to the configured runner. Raises like `check_runner`.

    The flow's own task runner cannot do this, because a deployment enters the flow before the configuration is read.
    """
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.settings import PREFECT_API_URL, temporary_settings

    check_runner(config.runner)
    context = FlowRunContext.get()
    if context is None:
        raise RuntimeError("only a flow run can fan out")
    with ExitStack() as stack:
        if not config.runner.in_threads and not PREFECT_API_URL.value():
            # Without an address, every worker would start its own Prefect server.
            client = stack.enter_context(get_client(sync_client=True))
            stack.enter_context(temporary_settings({PREFECT_API_URL: str(client.api_url)}))
        remote = any("://" in where for where in (config.store, config.results))
        runner = stack.enter_context(task_runner(config.runner, remote=remote))
        if config.runner.address:
            stack.enter_context(_cancelled_without_workers(runner))
        stack.enter_context(context.model_copy(update={"task_runner": runner}))
        stack.enter_context(_workers_killed_at_an_interrupt())
        yield


@contextmanager
def _cancelled_without_workers(runner: "TaskRunner[Any]") -> Iterator[None]:
    """Cancel work that has been pending for WITHOUT_WORKERS_S on a Dask cluster without workers: Dask waits forever.

    Further work is then cancelled at once, until there is a worker. A scheduler that does not answer may have workers;
    a client that loses its connection cancels its work itself.
    """
    from distributed import Future

    client, ended, names = cast(Any, runner).client, Event(), f"workers of {cast(Any, runner).address}"

    def watch() -> None:
        last = monotonic()
        while not ended.wait(WITHOUT_WORKERS_S / 20):
            pending = [key for key, state in list(client.futures.items()) if state.status == "pending"]
            has_workers = True
            with suppress(Exception):
                has_workers = bool(client.scheduler_info(n_workers=1)["workers"])
            waited = monotonic() - last
            if has_workers or not (pending or waited > WITHOUT_WORKERS_S):  # an idle cluster may have no workers
                last = monotonic()
            elif waited > WITHOUT_WORKERS_S:
                client.cancel(
                    [Future(key, client) for key in pending], reason=f"there have been no {names} for {waited:.0f} s"
                )

    thread = Thread(target=watch, daemon=True, name=names)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _workers_killed_at_an_interrupt() -> Iterator[None]:
    """On Ctrl-C or cancellation, do not wait for inferences whose results are not used."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise


def task_runner(config: RunnerConfig, *, remote: bool) -> "TaskRunner[Any]":
    """Prefect's task runner of the configured kind, not yet started; tasks with `remote` storage often wait."""
    processors = _processors()
    workers = config.workers or processors
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, processors // workers))
    match config.kind:
        case "threads":
            from prefect.task_runners import ThreadPoolTaskRunner

            # Computing threads slow each other down: two threads score cells a quarter slower than one.
            return ThreadPoolTaskRunner(max_workers=config.workers or (THREADS_THAT_WAIT if remote else 1))
        case "processes":
            from prefect.task_runners import ProcessPoolTaskRunner

            return ProcessPoolTaskRunner(max_workers=workers, initializer=_share, initargs=(threads,))
        case "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            if config.address:
                return DaskTaskRunner(address=config.address)
            # Security creates certificates for this cluster: without them, any local user could send code to it.
            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "security": True}
            return DaskTaskRunner(cluster_kwargs=local | {"env": {"OMP_NUM_THREADS": threads}})


def submit(config: RunnerConfig, step: "Task[Any, Made_co]", *arguments: Any) -> Work[Made_co]:
    """Submit an inference step. With one at a time in this process, run it at once, so that Ctrl-C takes effect."""
    if config.in_threads and config.at_once == 1:
        return cast(Work[Made_co], step(*arguments, return_state=True))
    return step.submit(*arguments)


def bounded(begun: Iterable[W], at_once: int | None) -> Iterator[W]:
    """Yield finished work items in order, with at most `at_once` (None: all) running at a time.

    The iterator `begun` starts the next item when it is advanced.
    """
    going: deque[W] = deque()
    for work in begun:
        going.append(work)
        if len(going) == at_once:
            yield _done(going.popleft())
    while going:
        yield _done(going.popleft())


def _done(work: W) -> W:
    with suppress(Exception):  # the consumer of the result gets the error
        work.result(raise_on_failure=False)
    return work


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _share(threads: str) -> None:
    """Limit a pool process to its share of the processors, before it imports torch."""
    os.environ.setdefault("OMP_NUM_THREADS", threads)
