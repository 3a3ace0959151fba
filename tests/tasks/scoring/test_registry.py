"""Declaring and selecting metrics."""

from functools import partial
from types import FunctionType
from typing import Any

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.scoring.metrics import BUILTIN, Metric, metric, registered, select


def declared(**options: Any) -> Metric:
    namespace: dict[str, Any] = {}
    function = FunctionType((lambda predictions, **keywords: keywords).__code__, namespace)
    assert metric(**{"name": "mine"} | options)(function) is function
    (made,) = registered(namespace, Metric)
    return made


def test_the_built_in_metrics_are_registered_the_same_way() -> None:
    assert [one.name for one in BUILTIN] == ["precision", "recall", "f1", "accuracy"]
    assert {(one.needs, one.source) for one in BUILTIN} == {("counts", None)}
    assert all(isinstance(one, Metric) for one in BUILTIN)


def test_a_metric_is_registered_only_by_the_file_that_defines_it() -> None:
    before = registered(globals(), Metric)
    assert declared().name == "mine"
    assert registered(globals(), Metric) == before == ()
    assert [one.name for one in BUILTIN] == ["precision", "recall", "f1", "accuracy"]


def test_parameters_are_a_grid() -> None:
    assert declared().combinations == [{}]
    grid = declared(parameters={"k": [1, 2], "by": ["x", "y"]})
    assert grid.combinations == [
        {"k": 1, "by": "x"},
        {"k": 1, "by": "y"},
        {"k": 2, "by": "x"},
        {"k": 2, "by": "y"},
    ]


@pytest.mark.parametrize("name", ["", "two words", "a.b", "é", "1st", "x" * 65, 7])
def test_names(name: Any) -> None:
    with pytest.raises(InputError, match="is not a valid name; begin with a letter"):
        declared(name=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tags": "slow"}, "tags are 'slow'"),
        ({"tags": [1]}, r"tags are \[1\]"),
        ({"labels": "PER"}, "labels are 'PER'"),
        ({"labels": [""]}, r"labels are \[''\]"),
        ({"needs": "gold"}, "needs names 'gold'; choose among counts, predictions, model"),
        ({"needs": "counts", "labels": "all"}, "labels are given to a metric of counts"),
        ({"needs": "counts", "averages": ["mean"]}, "averages names 'mean'"),
        ({"needs": "counts", "levels": ["word"]}, "levels names 'word'"),
        ({"parameters": {"k": []}}, "the parameter 'k' has the values"),
        ({"parameters": {"k": 3}}, "the parameter 'k' has the values 3; give a list"),
        ({"parameters": {"by": "ab"}}, "the parameter 'by' has the values 'ab'"),
        ({"parameters": {"label": ["x"]}, "labels": "all"}, "one name, 'label'"),
        ({"parameters": ["k"]}, "parameters are"),
        ({"parameters": {"a b": [1]}}, "'a b'"),
    ],
)
def test_wrong_declarations(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^metric 'mine': .*{message}"):
        declared(**options)


def test_only_functions_are_metrics() -> None:
    with pytest.raises(InputError, match="decorates no function but partial"):
        metric("mine")(partial(print))


def test_selection() -> None:
    shape, speed, both = (declared(tags=tags) for tags in (["shape"], ["speed"], ("shape", "speed")))
    every = [shape, speed, both, *BUILTIN]
    assert select(every, []) == every
    assert select(every, ["shape"]) == [shape, both]
    assert select(every, ["speed", "shape"]) == [shape, speed, both]
    assert select(every, ["builtin"]) == list(BUILTIN)
    with pytest.raises(InputError, match=r"^--tags: nothing has the tag 'x', 'y'; choose among builtin, counts"):
        select(every, ["x", "shape", "y"])
