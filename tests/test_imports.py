"""Imports have one direction: deployments → flows → tasks.prefect_tasks → (tasks.*, artifacts), below `nerbench`."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHADOWING = {"evaluate", "datasets", "tokenizers", "profile", "types", "logging"}


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """The dotted name of every module that a file imports, also inside of functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(path: Path) -> set[str]:
    """The top-level folder of each import of nerbench, and the package of every other import."""
    return {name.removeprefix("nerbench.").partition(".")[0] for name in imported(path)}


def test_nothing_is_imported_by_a_name_that_other_projects_use() -> None:
    folders = ("flows", "tasks", "artifacts", "deployments")
    paths = [path for folder in (*folders, "nerbench", "tests") for path in files(folder)]
    named = {path: {name.partition(".")[0] for name in imported(path)} & set(folders) for path in paths}
    assert {path: names for path, names in named.items() if names} == {}


@pytest.mark.parametrize("path", files("artifacts"), ids=lambda path: path.name)
def test_artifacts_stand_alone(path: Path) -> None:
    assert not roots(path) & {"tasks", "flows", "deployments", "prefect", "torch", "transformers"}


@pytest.mark.parametrize("path", files("tasks"), ids=lambda path: path.name)
def test_tasks_know_neither_flows_nor_prefect(path: Path) -> None:
    knows_prefect = path in (ROOT / "tasks" / "prefect_tasks.py", ROOT / "tasks" / "as_task.py")
    assert not roots(path) & ({"flows", "deployments"} | (set() if knows_prefect else {"prefect"}))
    assert knows_prefect or not {"nerbench.tasks.prefect_tasks", "nerbench.tasks.as_task"} & set(imported(path))


@pytest.mark.parametrize("path", files("flows"), ids=lambda path: path.name)
def test_flows_do_not_know_deployments_and_shadow_nothing(path: Path) -> None:
    assert "deployments" not in roots(path)
    is_command_line = path.parent.name == "commands" or path == ROOT / "flows" / "cli.py"
    assert is_command_line or not {name for name in imported(path) if name.startswith("nerbench.flows.commands")}
    assert path.stem not in SHADOWING


ROOMS = (
    "run_identity environment child_process progress metrics statistics config data inference doctor scoring training "
    "results inspection predicting as_task analysis comparison suspects publishing measuring audit report prefect_tasks"
).split()
"""Folders and modules at the top of `tasks/`, each after those that it imports."""
LONGEST_FILE = 400


def module(path: Path) -> str:
    name = str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    return name if name.startswith("nerbench") else f"nerbench.{name}"


def graph() -> dict[str, set[str]]:
    """The modules that each module imports, also in functions and for type checks."""
    paths = {module(path): path for folder in ("artifacts", "flows", "tasks", "deployments") for path in files(folder)}
    return {name: (imported(path) & {*paths}) - {name} for name, path in paths.items()}


def room(name: str) -> str:
    """The folder of a module below its top-level folder, or the module itself if it is in none."""
    return ".".join(name.split(".")[1:3])


def rooms(modules: dict[str, set[str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, others in modules.items():
        found.setdefault(room(name), set()).update({room(other) for other in others} - {room(name)})
    return found


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_form_no_circle() -> None:
    modules = graph()
    assert circle(modules) == []
    packages = {"artifacts", "flows", "tasks", "deployments"}
    assert circle({name: others - packages for name, others in rooms(modules).items() if name not in packages}) == []


def test_rooms_of_tasks_import_the_rooms_before_them() -> None:
    found = {
        name.removeprefix("tasks."): others for name, others in rooms(graph()).items() if name.startswith("tasks.")
    }
    assert {*found} == {*ROOMS}
    for name, others in found.items():
        before = {f"tasks.{one}" for one in ROOMS[: ROOMS.index(name)]}
        later = {one for one in others if one.startswith("tasks.")} - before
        assert not later, f"{name} imports {later}"


def test_files_hold_one_idea() -> None:
    lines = {path: path.read_text().count("\n") for folder in ("artifacts", "flows", "tasks") for path in files(folder)}
    assert {path: n for path, n in lines.items() if n > LONGEST_FILE} == {}


def test_a_circle_would_be_found() -> None:
    assert {*circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})} == {"a", "b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_the_rules_would_notice(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from prefect import task\n    import nerbench.tasks.as_task\n")
    assert "prefect" in roots(wrong)
    assert "nerbench.tasks.as_task" in imported(wrong)


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "prefect", "pyarrow", "pydantic", "numpy")
    code = f"import nerbench, nerbench.flows.cli, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
