"""What makes a function a step: a Prefect task that costs little, and of which Prefect keeps nothing.

A step never uses Prefect's cache: a result that Prefect kept on one worker would hide what another worker stored since.
Steps ask the stores themselves, and report `Cached` where a verified record answered.
"""

from collections import UserList
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.states import Completed
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from nerbench.artifacts.errors import RunFailedError, pass_interrupts
from nerbench.artifacts.secrets import redact_logs
from nerbench.tasks.configuration.usercode import explain
from nerbench.tasks.scoring.metrics import Row

redact_logs()  # here, as every process that works for a run imports this: the flow's own, a pool's and a cluster's

P = ParamSpec("P")
R = TypeVar("R")


class Rows(UserList[Row]):
    """Rows that a step returns as one thing: of a list Prefect would remember each row as a result of its own."""


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


if TYPE_CHECKING:
    from prefect import task

    step = task
else:

    class Step(Task):
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

    def step(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Prefect's `task`, for a function that is a step."""
        return lambda function: Step(failing_plainly(function), cache_policy=NO_CACHE, persist_result=False, **options)


def from_store(stored: R) -> R:
    """What a step returns that found its result in a store: Prefect shows the run as `Cached`."""
    return cast(R, Completed(name="Cached", data=stored))
