"""The wheel in an empty environment outside of the checkout, as users install it.

NERBENCH_PYTHONS names the interpreters, comma-separated; then everything is installed from the package index. Without
it, there is one environment, of the interpreter that runs the tests, with links to the packages of its environment.
"""

import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from environments import Environment
from prefect_site import free_port

PYTHONS = os.environ.get("NERBENCH_PYTHONS", sys.executable).split(",")
PROJECT = {
    "flows/__init__.py": "",
    "flows/nightly.py": """
        from prefect import flow

        from nerbench.flows.benchmark import benchmark
        from tasks.greeting import greet


        @flow
        def nightly(models: list[str]) -> None:
            greet()
            benchmark(models=models)


        if __name__ == "__main__":
            nightly(["*@latest"])
        """,
    "tasks/__init__.py": "",
    "tasks/greeting.py": """
        from prefect import task


        @task
        def greet() -> None:
            print("greetings from the project's own tasks")
        """,
    "pyproject.toml": """
        [project]
        name = "team"
        version = "1"

        [tool.setuptools]
        packages = ["flows", "tasks"]
        """,
}
"""A typical Prefect project: its own `flows` and `tasks`, and a flow that calls nerbench's benchmark."""

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module", params=PYTHONS)
def installed(request: pytest.FixtureRequest, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    found = Environment(request.param, tmp_path_factory.mktemp("installed"))
    (wheel,) = built.glob("*.whl")
    if "NERBENCH_PYTHONS" in os.environ:
        found.install(wheel)
    else:
        found.install_copies(wheel)
    return found


@pytest.fixture(scope="module")
def demo(installed: Environment) -> str:
    """The output of `nerbench run` in an empty folder, with one epoch for each model: no test here is about scores."""
    return installed.run("nerbench", "run", "--json", *("--set", "models.0.epochs=1"), *("--set", "models.1.epochs=1"))


def test_the_demo_trains_saves_and_benchmarks(installed: Environment, demo: str) -> None:
    assert '"artifacts"' in demo
    assert "strict" in installed.run("nerbench", "results", "show")
    assert (installed.work / "var" / "results" / "metrics").is_dir()


def test_the_metric_loads_by_its_folder(installed: Environment) -> None:
    code = (
        "import evaluate; from importlib.resources import files;"
        "metric = evaluate.load(str(files('nerbench.tasks.metrics').joinpath('nerbench_entities')));"
        "print(metric.compute(predictions=[['B-PER', 'O']], references=[['B-PER', 'B-LOC']])['f1'])"
    )
    assert float(installed.run("python", "-c", code)) == pytest.approx(2 / 3)


def test_a_served_deployment_runs(installed: Environment, demo: str) -> None:
    port = free_port()
    command = [installed.bin / "nerbench", "serve", "--port", str(port)]
    where: dict[str, Any] = {"cwd": installed.work, "env": installed.variables}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **where) as served:
        try:
            assert served.stderr
            said = list(takewhile(lambda line: "Ctrl-C stops it" not in line, served.stderr))
            access = f"{installed.variables['PREFECT_HOME']}/nerbench-{port}.env"
            assert f"  . {access}\n" in said
            run = f". {access} && prefect deployment run benchmark/on-demand --watch"
            done = subprocess.run(["bash", "-c", run], capture_output=True, text=True, check=False, **where)
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            served.terminate()
            served.communicate()
    assert served.returncode == 0


def test_a_project_with_its_own_flows_and_tasks_keeps_them(installed: Environment, demo: str, project: Path) -> None:
    printed = installed.run("python", "-m", "flows.nightly", cwd=project)
    assert "greetings from the project's own tasks" in printed
    installed.run("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", str(project))
    installed.run("pip", "uninstall", "--quiet", "--yes", "team")
    assert "Train, save and benchmark" in installed.run("nerbench", "--help")


@pytest.fixture
def project(installed: Environment, tmp_path: Path) -> Path:
    """The folder of the project, with the store and results of the demo."""
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text).lstrip())
    var = installed.work / "var"
    (tmp_path / "nerbench.yaml").write_text(
        f"store: {var / 'artifacts'}\nresults: {var / 'results'}\n"
        f"dataset: {{name: demo, format: conll, files: {{test: {var / 'demo' / 'test.txt'}}}}}\n"
    )
    return tmp_path
