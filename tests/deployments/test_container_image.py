"""The image, built and run with the rights of the composed worker: `make test-container`; minutes, and the network."""

import shutil
import subprocess

import pytest
from containers import DOCKERFILE, services
from prefect_site import ROOT

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]
TAG = "nerbench:test"


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)


@pytest.fixture(scope="module")
def engine() -> str:
    """The first available engine, with the built image."""
    found = next((name for name in ("docker", "podman") if shutil.which(name) and not run(name, "info").returncode), "")
    if not found:
        pytest.skip("neither docker nor podman answers on this machine")
    # Podman 4.3 finds the stage `torch-${DEVICE}` only if the argument is given.
    built = run(found, "build", "-f", str(DOCKERFILE), "--build-arg", "DEVICE=cpu", "-t", TAG, ".")
    assert built.returncode == 0, built.stdout + built.stderr
    return found


def contained(engine: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command like the composed worker, without a network; its files are deleted afterwards."""
    worker = services()["worker"]
    rights = [f"--cap-drop={name}" for name in worker["cap_drop"]]
    rights += [f"--security-opt={option}" for option in worker["security_opt"]]
    assert worker["read_only"]
    # Podman's --tmpfs knows no `uid`, so these are writable for everybody; /cache is the image's own volume.
    writable = [f"--tmpfs={folder}:exec,mode=1777" for folder in ("/tmp", "/home/nerbench", "/work")]
    restricted = ["--rm", "--init", "--read-only", "--network=none", *rights, *writable]
    return run(engine, "run", *restricted, TAG, *command)


def test_a_container_has_no_rights_and_a_read_only_root(engine: str) -> None:
    status = contained(engine, "grep", "-E", "^(Uid|CapEff|CapBnd|NoNewPrivs)", "/proc/self/status").stdout.split()
    assert status == ["Uid:", *["10001"] * 4, "CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    assert "Read-only file system" in contained(engine, "touch", "/opt/nerbench/planted").stderr


def test_the_demo_runs_in_a_container(engine: str) -> None:
    done = contained(engine, "nerbench", "run")
    assert done.returncode == 0, done.stderr
    assert "tiny-bert-1layer" in done.stdout
