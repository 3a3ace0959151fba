"""The files around the code are valid, name existing things, and have the same version."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nerbench import __version__

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in load(workflow)["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / "mkdocs.yml", ROOT / ".pre-commit-config.yaml"],
    ids=lambda path: path.name,
)
def test_the_file_is_a_mapping(path: Path) -> None:
    assert isinstance(load(path), dict)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_existing_targets(workflow: Path) -> None:
    runs = "\n".join(step["run"] for step in steps(workflow) if "run" in step)
    matrices = [job.get("strategy", {}).get("matrix", {}) for job in load(workflow)["jobs"].values()]
    named = {target for matrix in matrices for target in matrix.get("target", ())}
    named |= set(re.findall(r"^make ([a-z-]+)", runs, re.MULTILINE))
    assert named, "it names no target at all"
    assert named - TARGETS == set()
    for script in re.findall(r"^\.ci/\w+", runs, re.MULTILINE):
        assert (ROOT / script).stat().st_mode & 0o100, script


def test_the_workflow_runs_the_local_ci_script_and_has_a_job_for_each_long_target() -> None:
    workflow = ROOT / ".github/workflows/ci.yml"
    assert {".ci/run", "make test-wheel"} <= {step.get("run") for step in steps(workflow)}
    targets = load(workflow)["jobs"]["long"]["strategy"]["matrix"]["target"]
    assert set(targets) == {"attacks", "docs", "test-container", "test-slow", "torture"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_a_limit(workflow: Path) -> None:
    found = load(workflow)
    assert found["permissions"] == {"contents": "read"}
    rights = {right for job in found["jobs"].values() for right, value in job.get("permissions", {}).items()}
    assert rights <= {"id-token", "pages"}
    assert all("timeout-minutes" in job for job in found["jobs"].values())
    assert "secrets." not in workflow.read_text()
    for step in steps(workflow):
        if uses := step.get("uses"):
            assert re.fullmatch(r"actions/[a-z-]+@v\d+|pypa/gh-action-pypi-publish@release/v1", uses), uses
            assert not uses.startswith("actions/checkout") or step["with"] == {"persist-credentials": False}


def test_commits_are_checked_by_the_tools_of_the_project() -> None:
    [repository] = load(ROOT / ".pre-commit-config.yaml")["repos"]
    tools = {Path(hook["entry"].split()[0]).name for hook in repository["hooks"]}
    development = next(line for line in (ROOT / "pyproject.toml").read_text().splitlines() if line.startswith("dev ="))
    assert tools == {"ruff", "mypy"}
    assert all(f'"{tool}>=' in development for tool in tools)


def test_citation_and_changelog_know_the_version() -> None:
    citation = load(ROOT / "CITATION.cff")
    assert citation["version"] == __version__
    released = f"## [{__version__}] - {citation['date-released']}"
    assert released in (ROOT / "CHANGELOG.md").read_text().splitlines()


def test_help_lists_every_target() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in done.stdout.splitlines()} == TARGETS
