"""Which steps are tried again, and when."""

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from nerbench.artifacts.errors import StoreUnreachableError

PERMANENT = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


def _is_transient(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Only a store or network that may answer next time is asked again."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnreachableError | OSError) and not isinstance(error, PERMANENT)


STORAGE: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [10, 20, 60],  # together more than a minute, also where jitter makes them shorter
    "retry_jitter_factor": 0.2,
    "retry_condition_fn": _is_transient,
}
