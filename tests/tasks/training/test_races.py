"""Processes that train the same model concurrently: each publishes a complete model from its own folder."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_corpus import write_corpus

from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.store import Store

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PATIENCE_S = 240.0
Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process with a number; all train the same model in the same cache."""
    write_corpus(tmp_path / "corpus.txt", 10)
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    env = os.environ | {"NERBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": paths}
    started: list[subprocess.Popen[str]] = []

    def run(number: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(HERE / "racing.py"), str(tmp_path), number]
        with (tmp_path / f"{number}.log").open("w") as log:
            started.append(subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def trained_and_waiting(folder: Path, start: Start) -> "tuple[subprocess.Popen[str], subprocess.Popen[str]]":
    """A process that has trained, and one that has reported that it waits for the first one."""
    first = start("1")
    wait_for((folder / "trained-1").exists, "the first model")
    second = start("2")
    wait_for(lambda: f"process {first.pid} in" in (folder / "2.log").read_text(), "the second to wait")
    return first, second


def published(folder: Path, process: "subprocess.Popen[str]", number: str) -> str:
    """The complete artifact that a process published."""
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, (folder / f"{number}.log").read_text()
    artifact_id = out.split()[-1]
    store = Store(str(folder / "store"))
    assert store.verify(ArtifactKey(name="tiny", artifact_id=artifact_id)).ok
    assert store.manifest(ArtifactKey(name="tiny", artifact_id=artifact_id)).provenance.run_id == number
    return artifact_id


@pytest.mark.slow
def test_the_second_waits_until_the_first_has_published_and_then_trains(tmp_path: Path, start: Start) -> None:
    first, second = trained_and_waiting(tmp_path, start)
    assert list(tmp_path.glob("cache/training/*/model/model.safetensors"))
    (tmp_path / "go").touch()
    assert published(tmp_path, first, "1") != published(tmp_path, second, "2")
    assert (tmp_path / "training-2").exists()
    assert not [path for path in tmp_path.glob("cache/training/*") if path.is_dir()]


@pytest.mark.slow
def test_a_model_that_a_killed_process_could_not_publish_is_published_by_the_next(tmp_path: Path, start: Start) -> None:
    first, second = trained_and_waiting(tmp_path, start)
    first.kill()
    (tmp_path / "go").touch()
    published(tmp_path, second, "2")
    assert not (tmp_path / "training-2").exists(), "it was trained already"
