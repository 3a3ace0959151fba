"""Turn functions into Prefect tasks with low overhead and without stored results; retries and GPU slots.

The tasks never use Prefect's cache, because a result that Prefect keeps on one worker would hide newer results of other
workers. They query the stores themselves, and report `Cached` if a verified record exists.
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
from nerbench.tasks.config.user_code import explain
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.scoring.metrics import Row

redact_logs()  # here, because every process of a run imports this module: the flow, pool processes and cluster workers

P = ParamSpec("P")
R = TypeVar("R")


class Rows(UserList[Row]):
    """Rows that a task returns as one object; Prefect would track each row of a list as a separate result."""


def failing_plainly(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that a failure that is not an Exception (a Rust panic, SystemExit) raises RunFailedError.

    Prefect treats every other BaseException as a crash of the whole run.
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
    """A task whose arguments Prefect does not search for futures: they contain none, and it would visit each value."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As in Task."""
        return super().__call__(*map(quote, arguments), **options)

    def submit(self, *arguments: Any, **options: Any) -> Any:
        """As in Task, but Dask gets plain arguments, because it would treat a quotation as a tuple."""
        runner = getattr(FlowRunContext.get(), "task_runner", None)
        if isinstance(runner, ThreadPoolTaskRunner | ProcessPoolTaskRunner):
            arguments = tuple(map(quote, arguments))
        return super().submit(*arguments, **options)


def as_task(
    function: Callable[P, R], task_run_name: str | TaskRunNameCallbackWithParameters, name: str = "", **options: Any
) -> Task[P, R]:
    """The function as a Prefect task, named after the function unless `name` is given.

    `task_run_name` is a template over the function's parameters, or a function of them.
    """
    options |= {"name": name or function.__name__.removeprefix("_"), "cache_policy": NO_CACHE, "persist_result": False}
    return PlainTask(failing_plainly(function), task_run_name=task_run_name, **options)


def from_store(stored: R) -> R:
    """The return value of a task that found its result in a store; Prefect shows the task run as `Cached`."""
    return cast(R, Completed(name="Cached", data=stored))


PERMANENT = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def _is_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Retry only if a store or the network may answer next time."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnreachableError | OSError) and not isinstance(error, PERMANENT)


STORAGE: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 20, 60],  # more than a minute in total, even if jitter shortens the delays
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": _is_transient,
}
"""Options of a task that only reads and writes stores."""


GPU_LIMIT, GPU_LEASE_S = "gpu", 60.0


@contextmanager
def gpu_slots(device: str, field: str = "benchmark.device", *, gpus: int = 1) -> Iterator[None]:
    """Hold slots of the global concurrency limit `gpu` if the device is a GPU and the limit exists.

    A running process renews its lease; if it is killed, Prefect frees the slots when the lease expires.
    """
    if resolve_device(device, field).type != "cuda":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=gpus, lease_duration=GPU_LEASE_S):
        yield
