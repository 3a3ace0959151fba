"""Task runners (threads, processes, Dask or Ray), and the limit of concurrent inferences.

To add a kind of runner, add a branch to `task_runner` (for a cluster, also to `nerbench.flows.clusters`), and a name to
`nerbench.tasks.config.schema_run`.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from nerbench.flows.clusters import cancelled_without_workers, connected, ray_runner, submitted_to
from nerbench.tasks.config import Config, RunnerConfig

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner
    from prefect.tasks import Task

LOCAL = RunnerConfig()
"""Runs steps one after another in the flow's process, for work that needs no worker."""
THREADS_THAT_WAIT = 8
Made_co = TypeVar("Made_co", covariant=True)
T = TypeVar("T")


class Work(Protocol[Made_co]):
    """A submitted step: a future or a final state."""

    def result(self, *, raise_on_failure: bool = True) -> Made_co:
        """Wait for the result; raises the exception that ended the step."""


W = TypeVar("W", bound=Work[Any])


def check_runner(config: RunnerConfig) -> None:
    """Raise InputError if the runner is unavailable, as `connected` does."""
    with connected(config):
        pass


@contextmanager
def fanned_out(config: Config) -> Iterator[None]:
    """Within this context in a flow run, submitted tasks go to the configured runner. Raises like `check_runner`.

    The flow's own task runner cannot do this, because a deployment enters the flow before the configuration is read.
    """
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.settings import PREFECT_API_URL, temporary_settings

    context = FlowRunContext.get()
    if context is None:
        raise RuntimeError("only a flow run can fan out")
    with ExitStack() as stack:
        stack.enter_context(connected(config.runner))
        if not config.runner.in_threads and not PREFECT_API_URL.value():
            # Without an address, every worker would start its own Prefect server.
            client = stack.enter_context(get_client(sync_client=True))
            stack.enter_context(temporary_settings({PREFECT_API_URL: str(client.api_url)}))
        remote = any("://" in where for where in (config.store, config.results))
        runner = stack.enter_context(task_runner(config.runner, remote=remote))
        if config.runner.address:
            stack.enter_context(cancelled_without_workers(submitted_to(runner, config.runner), config.runner))
        stack.enter_context(context.model_copy(update={"task_runner": runner}))
        stack.enter_context(_workers_killed_at_an_interrupt())
        yield


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
        case "ray":
            return ray_runner(config.address or "")


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
