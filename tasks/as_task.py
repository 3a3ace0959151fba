"""Makes a function a Prefect task that costs little and of which Prefect keeps nothing, with its retries and GPU slots.

The tasks never use Prefect's cache: a result that Prefect kept on one worker would hide what another worker stored
since. They ask the stores themselves, and report `Cached` where a verified record answered.
"""

from collections import UserList
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.states import Completed
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from prefect.tasks import TaskRunNameCallbackWithParameters
from prefect.utilities.annotations import quote

from nerbench.artifacts.errors import RunFailedError, StoreUnreachableError, pass_interrupts
from nerbench.artifacts.secrets import redact_logs
from nerbench.tasks.configuration.usercode import explain
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.scoring.metrics import Row

redact_logs()  # here, as every process that works for a run imports this: the flow's own, a pool's and a cluster's

P = ParamSpec("P")
R = TypeVar("R")


class Rows(UserList[Row]):
    """Rows that a task returns as one thing: of a list Prefect would remember each row as a result of its own."""


def failing_plainly(function: Callable[P, R]) -> Callable[P, R]:
    """The function; what fails without an Exception (a Rust panic, SystemExit) raises RunFailedError.

    Prefect takes every other BaseException for a crash of the whole run.
    """

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return function(*arguments, **options)
        except Exception:
            raise
        except BaseException as error:
            pass_interrupts(error)
            raise RunFailedError(explain(error)) from error

    return call


class PlainTask(Task[P, R]):
    """A task in whose arguments Prefect looks for no futures: there are none, and it would look at each value."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As Task's."""
        return super().__call__(*map(quote, arguments), **options)

    def submit(self, *arguments: Any, **options: Any) -> Any:
        """As Task's; but Dask gets plain arguments, as it would take a quotation for a tuple."""
        runner = getattr(FlowRunContext.get(), "task_runner", None)
        if isinstance(runner, ThreadPoolTaskRunner | ProcessPoolTaskRunner):
            arguments = tuple(map(quote, arguments))
        return super().submit(*arguments, **options)


def as_task(
    function: Callable[P, R], task_run_name: str | TaskRunNameCallbackWithParameters, name: str = "", **options: Any
) -> Task[P, R]:
    """The function as a Prefect task, called like the function unless `name` says otherwise.

    `task_run_name`: a template over the function's parameters, or a function of them.
    """
    options |= {"name": name or function.__name__.removeprefix("_"), "cache_policy": NO_CACHE, "persist_result": False}
    return PlainTask(failing_plainly(function), task_run_name=task_run_name, **options)


def from_store(stored: R) -> R:
    """What a task returns that found its result in a store: Prefect shows the run as `Cached`."""
    return cast(R, Completed(name="Cached", data=stored))


PERMANENT = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def _is_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry only where a store or the network may answer next time."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnreachableError | OSError) and not isinstance(error, PERMANENT)


STORAGE: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 20, 60],  # together more than a minute, also where jitter makes them shorter
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": _is_transient,
}
"""Options of a task that only reads and writes stores."""


GPU_LIMIT, GPU_LEASE_S = "gpu", 60.0


@contextmanager
def gpu_slots(device: str, field: str = "benchmark.device", *, gpus: int = 1) -> Iterator[None]:
    """Meanwhile, slots of the global concurrency limit `gpu` are held, if the device is a GPU and that limit exists.

    A living process renews the lease; from a killed one Prefect takes the slots back when it has run out.
    """
    if resolve_device(device, field).type != "cuda":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=gpus, lease_duration=GPU_LEASE_S):
        yield
