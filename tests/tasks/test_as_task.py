"""A function becomes a Prefect task that is handed its arguments without Prefect looking into them."""

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


def test_a_task_fails_where_prefect_would_see_a_crash_of_the_run() -> None:
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
    """What Prefect gets of a call or a submission."""
    seen: list[Any] = []
    for way in ("__call__", "submit"):
        monkeypatch.setattr(Task, way, lambda _, *arguments, **options: seen.append((arguments, options)))
    return seen


def test_a_call_hides_its_arguments_and_leaves_options(handed: list[Any]) -> None:
    double([1, 2], factor=3)
    ((argument,), options) = handed[0]
    assert (type(argument), argument.unwrap(), options) == (quote, [1, 2], {"factor": 3})


@pytest.mark.parametrize(("runner", "kind"), [(ThreadPoolTaskRunner(), quote), (SimpleNamespace(), list)])
def test_only_prefect_s_own_runners_are_handed_quotations(
    runner: Any, kind: type, handed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(as_task.FlowRunContext, "get", lambda: SimpleNamespace(task_runner=runner))
    double.submit([1, 2])
    ((argument,), _) = handed[0]
    assert type(argument) is kind


def test_rows_are_one_thing_for_prefect() -> None:
    looked_at: list[Any] = []
    visit_collection(as_task.Rows([{"value": 1.0}] * 5), visit_fn=looked_at.append, max_depth=1)
    assert len(looked_at) == 1
    assert list(as_task.Rows([{"value": 1.0}])) == [{"value": 1.0}]


@pytest.mark.parametrize(
    ("labels", "named"), [(["ORG", "PER"], "ORG, PER"), (["LOC", "ORG", "PER"], "3 labels, LOC … PER")]
)
def test_a_task_run_names_its_labels(labels: list[str], named: str) -> None:
    parameters = {"predicted": SimpleNamespace(model="m", gold="own"), "labels": labels}
    assert prefect_tasks._labels_named(parameters) == f"score m against own: {named}"
