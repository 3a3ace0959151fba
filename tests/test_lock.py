"""uv.lock is the lock: it belongs to pyproject.toml, names PyPI only, and has the versions of constraints.txt."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1] != "#"]


@pytest.fixture(scope="module")
def packages() -> dict[str, dict[str, Any]]:
    """The packages of the lock by name."""
    listed = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    found = {one["name"]: one for one in listed}
    assert len(listed) == len(found) > 200
    return found


def test_constraints_are_the_versions_of_the_lock(packages: dict[str, dict[str, Any]]) -> None:
    locked = {name: f"=={one['version']}" for name, one in packages.items() if name != "nerbench"}
    assert {canonicalize_name(one.name): str(one.specifier) for one in CONSTRAINTS} == locked


def test_the_lock_belongs_to_this_pyproject(packages: dict[str, dict[str, Any]]) -> None:
    sections = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    declared = {
        (canonicalize_name(one.name), one.specifier, frozenset(one.extras), extra)
        for extra, texts in sections.items()
        for one in map(Requirement, texts)
    }
    locked = {
        (
            one["name"],
            SpecifierSet(one.get("specifier", "")),
            frozenset(one.get("extras", ())),
            "".join(re.findall(r"extra == '(.*)'", one.get("marker", ""))),
        )
        for one in packages["nerbench"]["metadata"]["requires-dist"]
    }
    assert locked == declared, "run `make lock`"


def test_everything_comes_from_pypi_by_its_digest(packages: dict[str, dict[str, Any]]) -> None:
    sources = [one["source"] for name, one in packages.items() if name != "nerbench"]
    assert all(source == {"registry": "https://pypi.org/simple"} for source in sources)
    files = [file for one in packages.values() for file in (*one.get("wheels", ()), one.get("sdist")) if file]
    assert {file["url"].partition("/packages/")[0] for file in files} == {"https://files.pythonhosted.org"}
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", file["hash"]) for file in files)


def test_the_tests_run_with_the_locked_versions() -> None:
    """The version of torch's CPU build has a suffix."""
    locked = {one.name: str(one.specifier).removeprefix("==") for one in CONSTRAINTS}
    names = ("numpy", "prefect", "pyarrow", "pydantic", "pytest", "torch", "transformers")
    assert {name: version(name).partition("+")[0] for name in names} == {name: locked[name] for name in names}
