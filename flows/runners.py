"""Where submitted steps work: threads or processes of this machine, or a Dask cluster; and how many infer at a time.

Another kind of runner is a branch of `task_runner` and of `check_runner`, and a name in `nerbench.tasks.config.runner`.
"""

import logging
import multiprocessing
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config, RunnerConfig

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner
    from prefect.tasks import Task

HERE = RunnerConfig()
"""For what needs no worker: in the flow's own process, one step after another."""
ANSWERS_WITHIN_S = 10
THREADS_THAT_WAIT = 8
Made_co = TypeVar("Made_co", covariant=True)
T = TypeVar("T")
log = logging.getLogger(__name__)


class Work(Protocol[Made_co]):
    """A step that was begun: a future, or the state of one that is done."""

    def result(self, *, raise_on_failure: bool = True) -> Made_co:
        """What it made, when it is done; raises what stopped it."""


W = TypeVar("W", bound=Work[Any])


def check_runner(config: RunnerConfig) -> None:
    """Raise InputError where the runner cannot be used: its extra is not installed, or no scheduler answers."""
    if config.kind != "dask":
        return
    if find_spec("prefect_dask") is None:
        raise InputError("runner", "dask is not installed", 'pip install -c constraints.txt -e ".[dask]"')
    if config.address:
        try:
            workers = _workers(config.address)
        except (OSError, ValueError, TypeError) as error:  # TimeoutError; an unknown protocol; TLS without certificates
            remedy = "start it, or correct the address; tls:// needs the certificates of distributed.comm.tls"
            raise InputError("runner.address", f"no Dask scheduler answers at {config.address}", remedy) from error
        if not workers:
            log.warning("the Dask cluster at %s has no worker yet", config.address)


def _workers(address: str) -> int:
    """The number of workers of a cluster; raises OSError or ValueError where it cannot be reached."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), ANSWERS_WITHIN_S):
        pass  # Dask itself would try again for as long as it may
    from distributed import Client

    with Client(address, timeout=ANSWERS_WITHIN_S, set_as_default=False) as client:
        return len(client.scheduler_info()["workers"])


@contextmanager
def fanned_out(config: Config) -> Iterator[None]:
    """Within, in a flow run, what is submitted goes to the configured runner. Raises InputError as `check_runner`.

    The flow's own runner cannot do that: a deployment's flow is entered before anybody has read the configuration.
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
            # Without an address every worker would start a Prefect server of its own.
            client = stack.enter_context(get_client(sync_client=True))
            stack.enter_context(temporary_settings({PREFECT_API_URL: str(client.api_url)}))
        remote = any("://" in where for where in (config.store, config.results))
        runner = stack.enter_context(task_runner(config.runner, remote=remote))
        stack.enter_context(context.model_copy(update={"task_runner": runner}))
        stack.enter_context(_workers_killed_at_an_interrupt())
        yield


@contextmanager
def _workers_killed_at_an_interrupt() -> Iterator[None]:
    """Where Ctrl-C or a cancelled run ends it, nobody waits for inferences that will not be used."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        for worker in multiprocessing.active_children():
            worker.kill()
        raise


def task_runner(config: RunnerConfig, *, remote: bool) -> "TaskRunner[Any]":
    """Prefect's task runner of this kind, not yet started; `remote` steps often wait for a store's answer."""
    processors = _processors()
    workers = config.workers or processors
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, processors // workers))
    match config.kind:
        case "threads":
            from prefect.task_runners import ThreadPoolTaskRunner

            # Threads that compute hold each other up: two of them score cells a quarter slower than one.
            return ThreadPoolTaskRunner(max_workers=config.workers or (THREADS_THAT_WAIT if remote else 1))
        case "processes":
            from prefect.task_runners import ProcessPoolTaskRunner

            return ProcessPoolTaskRunner(max_workers=workers, initializer=_share, initargs=(threads,))
        case "dask":
            from prefect_dask.task_runners import DaskTaskRunner

            if config.address:
                return DaskTaskRunner(address=config.address)
            # Security makes certificates for this cluster alone: on loopback, any user could send code to it.
            local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "security": True}
            return DaskTaskRunner(cluster_kwargs=local | {"env": {"OMP_NUM_THREADS": threads}})


def begin(config: RunnerConfig, step: "Task[Any, Made_co]", *arguments: Any) -> Work[Made_co]:
    """Begin a step that infers; with one at a time in this process it is then done, where Ctrl-C reaches it at once."""
    if config.in_threads and config.at_once == 1:
        return cast(Work[Made_co], step(*arguments, return_state=True))
    return step.submit(*arguments)


def in_turn(begun: Iterable[W], at_once: int | None) -> Iterator[W]:
    """The same work in the same order, each when it is done, and at most `at_once` of it (None: all) at a time.

    `begun` begins the next piece when it is asked for it.
    """
    going: deque[W] = deque()
    for work in begun:
        going.append(work)
        if len(going) == at_once:
            yield _done(going.popleft())
    while going:
        yield _done(going.popleft())


def _done(work: W) -> W:
    with suppress(Exception):  # whoever takes the result hears of it
        work.result(raise_on_failure=False)
    return work


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _share(threads: str) -> None:
    """In a process of the pool: its share of the processors, before torch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", threads)
