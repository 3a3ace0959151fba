"""Public names use the terms of `docs/reference/glossary.md`: none contains a term of its left column."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import reference

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.config import Config

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("artifacts", "flows", "tasks")
MODULES = [path.relative_to(ROOT) for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
ROWS = re.findall(r"^\| (`.*?) \|", (ROOT / "docs/reference/glossary.md").read_text(), re.MULTILINE)
TERMS = [term for row in ROWS if "(" not in row for term in re.findall(r"`(\w+)`", row)]
OF_KEYS = [*TERMS, *(term for row in ROWS if "(key)" in row for term in re.findall(r"`(\w+)`", row))]
OF_MODULES = [*TERMS, *(term for row in ROWS if "(module)" in row for term in re.findall(r"`(\w+)`", row))]


def words(name: str) -> str:
    """The words of a name in snake case, camel case or with hyphens, between underscores."""
    return f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+', '_', name).lower().strip('_')}_"


def found(names: Iterator[str], terms: list[str]) -> dict[str, list[str]]:
    there = {name: [term for term in terms if f"_{term}_" in words(name)] for name in names}
    return {name: terms for name, terms in there.items() if terms}


def options() -> Iterator[str]:
    for name, command in reference.commands():
        yield name
        yield from (str(parameter.name) for parameter in command.params)


def keys() -> Iterator[str]:
    yield from (name for section in reference.sections(Config) for name in section.model_fields)


def columns() -> Iterator[str]:
    yield from (column.name for schema in TABLES.values() for column in schema.columns)


def functions() -> Iterator[str]:
    for path in MODULES:
        for node in ast.parse((ROOT / path).read_text()).body:
            is_named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if is_named and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}"


@pytest.mark.parametrize("names", [options, columns])
def test_options_use_the_terms_of_the_field(names: type[Iterator[str]]) -> None:
    assert found(names(), TERMS) == {}


def test_keys_are_the_terms_of_the_field() -> None:
    assert found(keys(), OF_KEYS) == {}


def test_functions_and_classes_use_the_terms_of_the_field() -> None:
    assert found((name.partition(".")[2] for name in functions()), TERMS) == {}


def test_modules_use_the_terms_of_the_field() -> None:
    assert found((path.stem for path in MODULES), OF_MODULES) == {}


def test_an_old_term_would_be_found() -> None:
    assert len(TERMS) > 30
    assert found(iter(["score_own", "Quickened", "give-back", "owner", "onboard"]), TERMS) == {
        "score_own": ["own"],
        "Quickened": ["quickened"],
        "give-back": ["give_back"],
    }
