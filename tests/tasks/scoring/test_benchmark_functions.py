"""Benchmark functions: declarations, arguments, and every kind of failure."""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tagging import paired

import nerbench
from nerbench.artifacts.errors import InputError
from nerbench.tasks.analysis.user_scores import run_functions
from nerbench.tasks.scoring.benchmark_functions import (
    BenchmarkFunction,
    benchmark_function,
    collect,
    collect_functions,
    parametrize,
    product,
)
from nerbench.tasks.scoring.metrics import Row, registered
from nerbench.tasks.scoring.user_metrics import Identity, Predictions

EXAMPLE = Path(__file__).with_name("my_functions.py")
Write = Callable[..., Path]


def rows_of(path: Path, **handles: Any) -> list[Row]:
    loads = {name: (value if callable(value) else lambda value=value: value) for name, value in handles.items()}
    return run_functions(collect_functions([path]), loads)


def declared(function: Callable[..., Any], decorate: Callable[[Any], Any] = benchmark_function) -> BenchmarkFunction:
    own = FunctionType(function.__code__, {}, "mine", function.__defaults__)
    own.__kwdefaults__ = function.__kwdefaults__
    assert decorate(own) is own
    (made,) = registered(own.__globals__, BenchmarkFunction)
    return made


# Declarations


def test_the_public_names() -> None:
    assert (nerbench.benchmark_function, nerbench.parametrize, nerbench.product) == (
        benchmark_function,
        parametrize,
        product,
    )


def test_handles_are_arguments_by_name() -> None:
    for function, handles, of_model, of_corpus in (
        (lambda: 0, (), False, False),
        (lambda corpus: 0, ("corpus",), False, True),
        (lambda model, tokenizer: 0, ("model", "tokenizer"), True, False),
        (lambda artifact_path: 0, ("artifact_path",), True, False),
        (lambda predictions, k=3: 0, ("predictions",), True, True),
    ):
        made = declared(function)
        assert (made.handles, made.of_model, made.of_corpus) == (handles, of_model, of_corpus)


def test_parameters() -> None:
    assert declared(lambda: 0, benchmark_function(tags=["a"], unit="s")).parameters == [{}]
    assert declared(lambda k: 0, parametrize([{"k": 1}, {"k": 2}])).parameters == [{"k": 1}, {"k": 2}]
    grid = declared(lambda model, k, by: 0, product(k=[1, 2], by=["x", "y"], tags=["a"], name="other", unit="s"))
    assert [tuple(one.values()) for one in grid.parameters] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert (grid.name, grid.tags, grid.unit) == ("other", ("a",), "s")


@pytest.mark.parametrize(
    ("function", "decorate", "message"),
    [
        (lambda: 0, benchmark_function(name="two words"), "'two words': is not a valid name"),
        (lambda: 0, benchmark_function(tags="slow"), "'mine': tags are 'slow'; give a list"),
        (lambda weights: 0, benchmark_function, "'mine': takes 'weights', which has no value; give it by parametrize"),
        (lambda: 0, product(k=[1]), "'mine': does not take its parameter 'k'"),
        (lambda k: 0, product(k=[]), "'mine': has no parameters to be called with"),
        (lambda model: 0, product(model=["a"]), "'mine': has a parameter called 'model', as a handle is; rename it"),
        (lambda k: 0, product(k=[{1, 2}]), r"'mine': has the parameters .*\(Object of type set is not JSON"),
        (lambda k: 0, product(k=[float("nan")]), "'mine': has the parameters"),
    ],
)
def test_wrong_declarations(function: Any, decorate: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^benchmark function {message}"):
        declared(function, decorate)


# Files


def test_a_file_may_define_metrics_and_functions(write: Write) -> None:
    path = write(
        "@nerbench.metric('a')\ndef a(predictions): return 1",
        "@nerbench.benchmark_function\ndef b(): return 2",
    )
    assert [one.name for one in collect([path])] == ["a"]
    (b,) = collect_functions([path])
    assert (b.name, b.source and b.source.partition("@")[0]) == ("b", "mine.py")


def test_two_functions_with_one_name(write: Write) -> None:
    path = write(*2 * ["@nerbench.benchmark_function()\ndef b(): return 2"])
    with pytest.raises(InputError, match=r"two benchmark functions are called 'b': \S+mine\.py:2 and \S+mine\.py:4"):
        collect_functions([path])


def test_a_wrong_declaration_names_the_file(write: Write) -> None:
    path = write("@nerbench.product(k=[1])\ndef b(): return 2")
    with pytest.raises(InputError, match=f"^{path}: benchmark function 'b': does not take its parameter 'k'"):
        collect_functions([path])


# Calls


def test_every_call_is_a_row(write: Write) -> None:
    path = write(
        "@nerbench.product(k=[1, 2], by=['é'], tags=['t'], unit='s')\ndef a(corpus, by, k): return k * len(corpus)",
        "@nerbench.benchmark_function()\ndef several(): return {'x': 1, 'y': {'z': None}}",
    )
    rows = rows_of(path, corpus="abc")
    assert [row["name"] for row in rows] == ["a", "a", "several.x", "several.y.z"]
    assert [row["value"] for row in rows] == [3.0, 6.0, 1.0, None]
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "undefined"]
    assert rows[0]["parameters"] == '{"by": "é", "k": 1}'
    assert json.loads(rows[2]["parameters"]) == {}
    assert (rows[0]["tags"], rows[0]["unit"]) == (["t"], "s")
    assert all(row["call_s"] >= 0 for row in rows)


def test_handles_are_loaded_once_and_on_request(write: Write) -> None:
    loaded: list[str] = []
    handles = {name: lambda name=name: loaded.append(name) or name for name in ("model", "corpus")}
    path = write(
        "@nerbench.parametrize([{'k': 1}, {'k': 2}])\ndef a(model, k): return k",
        "@nerbench.benchmark_function\ndef b(model): return len(model)",
    )
    assert [row["value"] for row in rows_of(path, **handles)] == [1.0, 2.0, 5.0]
    assert loaded == ["model"]


def test_a_failing_function_stops_no_other(write: Write) -> None:
    tries: list[int] = []

    def broken() -> Any:
        tries.append(1)
        raise InputError("model m", "cannot be loaded", "pull it again")

    path = write(
        "@nerbench.benchmark_function\ndef bad(): return 1 / 0",
        "@nerbench.benchmark_function\ndef text(): return 'x'",
        "@nerbench.benchmark_function\ndef a(model): return 1",
        "@nerbench.benchmark_function\ndef b(model): return 1",
        "@nerbench.benchmark_function\ndef leaves(): raise SystemExit",
        "@nerbench.benchmark_function\ndef good(): return 1",
    )
    rows = {row["name"]: row for row in rows_of(path, model=broken)}
    assert {name: row["reason"] for name, row in rows.items()} == {
        "bad": "ZeroDivisionError: division by zero (mine.py:3)",
        "text": "it returned str, which is not a number",
        "a": "model cannot be loaded: InputError: model m: cannot be loaded; pull it again",
        "b": "model cannot be loaded: InputError: model m: cannot be loaded; pull it again",
        "leaves": "SystemExit (mine.py:11)",
        "good": None,
    }
    assert tries == [1]
    assert (rows["good"]["status"], rows["bad"]["status"], rows["a"]["call_s"]) == ("ok", "failed", None)


def test_set_up_and_tear_down_surround_every_call_untimed(write: Write) -> None:
    path = write(
        "import time",
        "said = []",
        "def up(state, params): said.append(('up', *state, dict(params)))",
        "def down(state, params): said.append('down')",
        "def wrong(state, params): raise ValueError('no room')",
        "@nerbench.product(k=[1, 2], setUp=up, tearDown=down)\ndef a(k): said.append(k); return 1 / (k - 1)",
        "@nerbench.benchmark_function(setUp=wrong)\ndef b(): said.append('never')",
        "@nerbench.benchmark_function(tearDown=wrong)\ndef c(): return 1",
        "@nerbench.benchmark_function\ndef n(): return len(said)",
    )
    rows = rows_of(path)
    said = collect_functions([path])[0].compute.__globals__["said"]
    assert said == [
        *(("up", "a k=1", "a", 2, 0, {"k": 1}), 1, "down"),
        *(("up", "a k=2", "a", 2, 1, {"k": 2}), 2, "down"),
    ]
    assert [(row["name"], row["status"]) for row in rows] == [
        *(("a", "failed"), ("a", "ok"), ("b", "failed"), ("c", "failed"), ("n", "ok"))
    ]
    assert rows[2]["reason"] == rows[3]["reason"] == "ValueError: no room (mine.py:6)"
    assert rows[2]["call_s"] is None


def test_an_interruption_of_a_function_passes(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        rows_of(write("@nerbench.benchmark_function\ndef a(): raise KeyboardInterrupt"))


# The example of the documents


def test_the_example_is_on_the_page() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/explanation/scores.md").read_text()
    block = re.search(r"```python\n# my_functions.py\n(.*?)```", page, re.DOTALL)
    assert block
    assert ast.unparse(ast.parse(block[1])) == ast.unparse(ast.Module(ast.parse(EXAMPLE.read_text()).body[1:], []))


def test_the_example_runs(tiny_model_folder: Path) -> None:
    from nerbench.tasks.inference.loading import load_tagger, resolve_device

    tagger = load_tagger(tiny_model_folder, device=resolve_device("cpu"))
    tagged = paired([["B-LOC", "O"]], [["B-PER", "O"]])
    scored = replace(tagged, score=np.array([0.95, 0.5], np.float32))
    handles = {
        "artifact_path": tiny_model_folder,
        "model": tagger.model,
        "tokenizer": tagger.tokenizer.wrapper,
        "corpus": SimpleNamespace(n_words=2),
        "predictions": Predictions(
            identity=Identity("m", "a", "d", "g", "test"), types=scored.types, parts=lambda: [scored]
        ),
    }
    loads = {name: lambda value=value: value for name, value in handles.items()}
    rows = run_functions(collect_functions([EXAMPLE]), loads)
    assert not [row["reason"] for row in rows if row["reason"]]
    assert [row["name"] for row in rows] == [
        *("size", *4 * ["forward"], "confident_errors.n", "confident_errors.share", "answer")
    ]
    assert [row["value"] for row in rows[5:]] == [1.0, 0.5, 42.0]
