"""A function becomes a Prefect task whose arguments Prefect does not inspect."""

from types import SimpleNamespace
from typing import Any

import pytest
from prefect import Task
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote
from prefect.utilities.collections import visit_collection

from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks import as_task, prefect_tasks


def _double(numbers: list[int], *, factor: int = 2) -> list[int]:
    """The numbers, doubled."""
    return [factor * number for number in numbers]


def _fail(error: BaseException) -> None:
    """Raise the error."""
    raise error


double, fail = as_task.as_task(_double, "double"), as_task.as_task(_fail, "fail")


def test_an_error_that_prefect_would_treat_as_a_crash_fails_the_task() -> None:
    panic = type("PanicException", (BaseException,), {})("a pattern")
    for error, becomes in (
        (panic, RunFailedError),
        (SystemExit(3), RunFailedError),
        (ValueError(), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        with pytest.raises(becomes) as caught:
            fail.fn(error)
        assert becomes is not RunFailedError or str(caught.value) == f"{type(error).__name__}: {error}"


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments that Prefect gets from a call or a submission."""
    seen: list[Any] = []
    for way in ("__call__", "submit"):
        monkeypatch.setattr(Task, way, lambda _, *arguments, **options: seen.append((arguments, options)))
    return seen


def test_a_call_hides_its_arguments_and_leaves_options(handed: list[Any]) -> None:
    double([1, 2], factor=3)
    ((argument,), options) = handed[0]
    assert (type(argument), argument.unwrap(), options) == (quote, [1, 2], {"factor": 3})


@pytest.mark.parametrize(("runner", "kind"), [(ThreadPoolTaskRunner(), quote), (SimpleNamespace(), list)])
def test_only_prefects_runners_get_quoted_arguments(
    runner: Any, kind: type, handed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_task.FlowRunContext, "get", lambda: SimpleNamespace(task_runner=runner))
    double.submit([1, 2])
    ((argument,), _) = handed[0]
    assert type(argument) is kind


def test_prefect_does_not_inspect_rows() -> None:
    inspected: list[Any] = []
    visit_collection(as_task.Rows([{"value": 1.0}] * 5), visit_fn=inspected.append, max_depth=1)
    assert len(inspected) == 1
    assert list(as_task.Rows([{"value": 1.0}])) == [{"value": 1.0}]


@pytest.mark.parametrize(
    ("labels", "named"), [(["ORG", "PER"], "ORG, PER"), (["LOC", "ORG", "PER"], "3 labels, LOC … PER")]
)
def test_a_task_run_names_its_labels(labels: list[str], named: str) -> None:
    parameters = {"predicted": SimpleNamespace(model="m", gold="own"), "labels": labels}
    assert prefect_tasks._labels_named(parameters) == f"score m against own: {named}"
