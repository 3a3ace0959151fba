"""The image, built and run with the rights of the composed worker: `make test-container`; minutes, and the network.

`engines.py` chooses the program that does it. `base_image.py` makes the base image if no registry answers.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from containers import default_python, services
from engines import CONTAINER, Engine, build, run
from postgres import running_postgres
from prefect_site import HOST, Site, free_port, until
from small_corpus import TINY, write_corpus

from nerbench.artifacts.tables.tables import read_results

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]
AUTH = "admin:composed"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""On busy cores, several threads of torch mostly wait for each other."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine with the built image."""
    found = build(tmp_path_factory.mktemp("engine"))
    yield found
    if found.name == "buildah":
        run("buildah", "rm", CONTAINER)


def contained(engine: Engine, *command: str) -> "subprocess.CompletedProcess[str]":
    return run(*engine.command(*command, env=ONE_THREAD))


def test_the_image_has_the_python_of_the_dockerfile(engine: Engine) -> None:
    assert contained(engine, "python", "--version").stdout.startswith(f"Python {engine.python}.")
    if engine.python != default_python():
        pytest.skip(f"torch's index does not answer: Python {engine.python} instead of {default_python()} in the image")


def test_a_container_has_no_rights_and_a_read_only_root(engine: Engine) -> None:
    print(f"\nrun by {engine.name}")
    status = contained(engine, "grep", "-E", "^(Uid|CapEff|CapBnd|NoNewPrivs)", "/proc/self/status").stdout.split()
    assert status == ["Uid:", *["10001"] * 4, "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    assert "Read-only file system" in contained(engine, "touch", "/opt/nerbench/planted").stderr


def test_the_demo_runs_in_a_container(engine: Engine) -> None:
    epochs = [option for number in (0, 1) for option in ("--set", f"models.{number}.epochs=1")]
    done = contained(engine, "nerbench", "run", *epochs)
    assert done.returncode == 0, done.stderr
    assert "tiny-bert-1layer" in done.stdout


@pytest.fixture
def composed(engine: Engine, tmp_path: Path) -> Iterator[Site]:
    """Server and worker of `compose.yaml` in containers on the host's network, and PostgreSQL as a process.

    The ports differ, so that nothing else is in their way.
    """
    with running_postgres() as url:
        tmp_path.chmod(0o755)
        site = Site(tmp_path, server={"PREFECT_SERVER_DATABASE_CONNECTION_URL": url}, auth=AUTH)
        database, port = urlsplit(url), str(urlsplit(site.api).port)
        given = {name: re.sub(r"^\$\{(\w+):.*", r"\1", value) for name, value in of("server").items()}
        given |= {
            "PREFECT_SERVER_DATABASE_HOST": HOST,
            "PREFECT_SERVER_DATABASE_PORT": str(database.port),
            "PREFECT_SERVER_DATABASE_NAME": database.path[1:],
            "PREFECT_SERVER_API_AUTH_STRING": AUTH,
        }
        command = [port if word == "4200" else word for word in services()["server"]["command"]]
        worker = ONE_THREAD | {
            "PREFECT_API_URL": site.api,
            "PREFECT_API_AUTH_STRING": AUTH,
            "PREFECT_WORKER_WEBSERVER_PORT": str(free_port()),
        }
        site.work.chmod(0o1777)
        started: list[subprocess.Popen[Any]] = []
        try:
            started.append(start(site, "server", engine.command(*command, network="host", env=given)))
            site.running["server"] = started[0]
            site.await_server()
            site.deploy()
            write_config(site.work)
            started.append(start(site, "worker", engine.command(network="host", env=worker, work=site.work)))
            yield site
        finally:
            for process in reversed(started):
                engine.end(process)
            site.end()


def of(service: str) -> dict[str, str]:
    """The environment of a service."""
    found: dict[str, str] = services()[service]["environment"]
    return found


def start(site: Site, name: str, command: list[str]) -> "subprocess.Popen[Any]":
    with (site.logs / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)


def write_config(folder: Path) -> None:
    write_corpus(folder / "corpus.txt", 20)
    files = dict.fromkeys(("train", "validation", "test"), "corpus.txt")
    model = {"name": "first", "base": TINY, "epochs": 2, "vocabulary": 200, "batch_tokens": 256}
    config = {
        "datasets": [{"name": "own", "files": files}],
        "models": [model],
        "benchmark": {"speed": False, "device": "cpu"},
    }
    (folder / "nerbench.yaml").write_text(yaml.safe_dump(config))


def test_the_services_of_the_compose_file_run_a_deployment_to_its_end(composed: Site) -> None:
    with composed.client() as client:
        run_id = client.create_flow_run_from_deployment(
            client.read_deployment_by_name("pipeline/on-demand").id,
        ).id

        def ended() -> Any:
            state = client.read_flow_run(run_id).state
            return state if state.is_final() else None

        state = until(ended, "the end of the run", lambda: composed.log("worker")[-4000:])
    assert state.is_completed(), composed.log("worker")[-4000:]
    rows = read_results(str(composed.work / "var" / "results"), "runs").to_pylist()
    assert [row["outcome"] for row in rows] == ["ok"]
