"""Checks undocumented names of other packages: an upgrade that changes one fails here by name."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from borrowed import BORROWED, INTERNAL, Borrowed

ROOT = Path(__file__).resolve().parents[1]
OURS = ("artifacts", "deployments", "flows", "nerbench", "tasks")
DOCUMENTED = {"_asdict", "_exit", "_fields", "_make", "_replace"}
"""Public names of named tuples and os that look private."""
REFLECTION = {"delattr", "getattr", "hasattr", "setattr"}
PATHS = [path for folder in OURS for path in sorted((ROOT / folder).rglob("*.py"))]


def resolve(name: str) -> Any:
    """The object with a dotted name. Raises ImportError or AttributeError."""
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for end, part in enumerate(parts[1:], start=2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:end]))
    return found


def taken(borrowed: Any) -> str:
    """The names of the parameters, or the schema."""
    if schema := getattr(getattr(borrowed, "default", None), "_schema", None):
        return str(schema)
    return " ".join(inspect.signature(borrowed).parameters)


@pytest.mark.parametrize("borrowed", BORROWED, ids=lambda borrowed: borrowed.name)
def test_borrowed_names_exist_with_their_parameters(borrowed: Borrowed) -> None:
    pytest.importorskip(borrowed.name.partition(".")[0])
    found = resolve(borrowed.name)
    assert borrowed.takes is None or taken(found) == borrowed.takes


def test_the_runner_asks_for_a_starter_of_each_run() -> None:
    """`flows/serve.py` replaces an attribute of an instance, which no signature shows."""
    source = inspect.getsource(resolve("prefect.runner._scheduled_run_poller.ScheduledRunPoller"))
    assert "self._resolve_starter = resolve_starter" in source
    assert "self._resolve_starter(flow_run)" in source


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def defined_in(trees: "list[ast.Module]") -> set[str]:
    """The names that code defines, including attributes."""
    names = set()
    for node in (node for tree in trees for node in ast.walk(tree)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
    return names


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def own_names() -> set[str]:
    return defined_in([parsed(path) for path in PATHS]) - DOCUMENTED


def foreign_names(tree: ast.Module) -> dict[str, str]:
    """Full names of the imports of a file from other packages, without the standard library."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    known = {*OURS, *sys.stdlib_module_names}
    return {name: full for name, full in found.items() if full.partition(".")[0] not in known}


def uses(tree: ast.Module, ours: set[str]) -> Iterator[str]:
    """Borrowed names of a file: full names of imports and overrides; `._name` for private attributes of unknown owners.

    An attribute that nerbench also defines (`ours`) is not borrowed.
    """
    foreign = foreign_names(tree)
    yield from (
        full
        for full in foreign.values()
        if any(map(is_private, full.split("."))) or f"{full}.".startswith(tuple(f"{one}." for one in INTERNAL))
    )
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name) and name not in ours:
                yield f".{name}"
            case ast.Call(func=ast.Name(id=function), args=[_, ast.Constant(value=str(name)), *_]) if (
                function in REFLECTION and is_private(name) and name not in ours
            ):
                yield f".{name}"
            case ast.ClassDef(bases=bases):
                for base in bases:
                    yield from overrides(node, base.value if isinstance(base, ast.Subscript) else base, foreign)


def overrides(node: ast.ClassDef, base: ast.expr, foreign: dict[str, str]) -> Iterator[str]:
    """The methods of a foreign base that a class overrides. Pydantic's models do not count."""
    first, _, rest = ast.unparse(base).partition(".")
    if first not in foreign or foreign[first].startswith("pydantic."):
        return
    full = f"{foreign[first]}.{rest}" if rest else foreign[first]
    for method in node.body:
        is_method = isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name != "__init__"
        if is_method and (full.partition(".")[0] in not_installed() or hasattr(resolve(full), method.name)):
            yield f"{full}.{method.name}"


@cache
def not_installed() -> set[str]:
    """Packages of the list that belong to extras which are not installed; all methods of their classes count."""
    return {name for one in BORROWED if find_spec(name := one.name.partition(".")[0]) is None}


def unlisted(tree: ast.Module, ours: set[str]) -> list[str]:
    listed = {one.name for one in BORROWED}
    listed |= {f".{name.rpartition('.')[2]}" for name in listed} | {f".{name}" for name in DOCUMENTED}
    return sorted({use for use in uses(tree, ours) if use not in listed})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_borrowed_names_are_listed(path: Path) -> None:
    assert unlisted(parsed(path), own_names()) == []


def test_listed_names_are_used() -> None:
    text = "\n".join(path.read_text() for path in PATHS)
    assert [one.name for one in BORROWED if one.name.rpartition(".")[2] not in text] == []


def test_the_scan_finds_borrowed_names() -> None:
    code = """
import torch
from prefect._internal import concurrency
from prefect.server.api import server
from transformers import Trainer

class Ours(Trainer):
    def create_optimizer(self): ...
    def mine(self): return self._mine, getattr(self.model, "_hidden", None), torch._C
    def _mine(self): ...
"""
    tree = ast.parse(code)
    assert unlisted(tree, defined_in([tree])) == [
        "._C",
        "._hidden",
        "prefect._internal.concurrency",
        "prefect.server.api.server",
        "transformers.Trainer.create_optimizer",
    ]
