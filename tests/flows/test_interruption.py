"""Killed commands leave no process and lose nothing, and a rerun does only the missing work."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from small_corpus import TINY, write_corpus
from sweeping import TINY as SWEPT

GONE_WITHIN_S = 100.0
INTERRUPTING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a configuration of two models with a long training."""
    corpus = write_corpus(tmp_path / "corpus.txt", 40)
    model = {"base": TINY, "vocabulary": 200, "batch_tokens": 64, "learning_rate": 5e-3, "checkpoint_s": 0.5}
    config = {
        "datasets": [{"name": "own", "files": {"train": corpus, "validation": corpus, "test": corpus}}],
        "models": [{"name": "first", **model, "epochs": 2}, {"name": "second", **model, "epochs": 2, "seed": 1}],
        "benchmark": {"speed": False, "device": "cpu"},
    }
    (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def ignore_nothing() -> None:
    """A shell's background job ignores SIGINT, and a job of `nohup` SIGHUP; their children inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts a nerbench command in the folder, with a separate Prefect home and model cache."""
    env = os.environ | {
        "PREFECT_HOME": str(folder / "prefect"),
        "NERBENCH_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    env.pop("PREFECT_API_URL", None)
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "nerbench.flows.cli", *arguments],
            cwd=folder,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=ignore_nothing,  # noqa: PLW1509 - one thread only
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def descendants(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The training child, and the Prefect server that the command started for itself."""
    return psutil.Process(process.pid).children(recursive=True)


def alive_of(members: list[psutil.Process]) -> list[psutil.Process]:
    """The processes that still run; after SIGKILL, the server is one."""
    return [member for member in members if member.is_running()]


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out, err


@pytest.mark.parametrize("number", INTERRUPTING, ids=lambda number: number.name)
def test_an_interrupted_training_leaves_no_process_and_is_resumed(folder: Path, start: Any, number: int) -> None:
    command = ("train", "--set", "models.0.epochs=40", "--json")
    process = start(*command)
    wait_for(lambda: list(folder.glob("cache/training/*/checkpoints/checkpoint-*/trainer_state.json")), "a checkpoint")
    members = descendants(process)
    assert any("nerbench.tasks.training.finetune" in member.cmdline() for member in members)
    process.send_signal(number)
    _, alive = psutil.wait_procs(members, timeout=GONE_WITHIN_S)
    assert alive == []
    assert process.wait(GONE_WITHIN_S) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert not list(folder.glob("var/artifacts/models/*/manifests/*"))
    out, _ = finish(start(*command))
    (first, _) = json.loads(out)["artifacts"]
    (manifest,) = (json.loads(path.read_text()) for path in folder.glob(f"**/manifests/{first['artifact_id']}.json"))
    assert manifest["provenance"]["training"]["resumed_from"] > 0


def test_a_killed_benchmark_repeats_no_finished_inference(folder: Path, start: Any) -> None:
    finish(start("train"))
    process = start("benchmark")
    wait_for(lambda: list(folder.glob("var/results/.cache/evaluations/*/record.json")), "the first evaluation")
    members = descendants(process)
    process.kill()
    process.wait(GONE_WITHIN_S)
    for member in alive_of(members):  # the server holds the command's pipes open
        member.kill()
    done = len(list(folder.glob("var/results/.cache/evaluations/*/record.json")))
    out, _ = finish(start("benchmark", "--json"))
    summary = json.loads(out)
    assert summary["cached"] >= done >= 1
    assert summary["cached"] + summary["evaluated"] == 2
    assert {row["model"] for row in summary["metrics"]} == {"first", "second"}


def test_a_killed_sweep_continues(folder: Path, start: Any) -> None:
    command = ("speed", SWEPT, "--batch-sizes", "2", "--sequence-lengths", "8,16", "--iterations", "3", "--json")
    process = start(*command)

    def noted() -> list[dict[str, Any]]:
        files = folder.glob("cache/sweeps/*/*.jsonl")
        return [json.loads(line) for file in files for line in file.read_text().splitlines() if line]

    wait_for(lambda: any(event["take"] == "time" for event in noted()), "the first timed cell")
    members = descendants(process)
    process.kill()
    process.wait(GONE_WITHIN_S)
    for member in alive_of(members):
        member.kill()
    before = noted()
    assert not list(folder.glob("var/results/speed/**/*.parquet"))
    out, err = finish(start(*command))
    rows = json.loads(out)
    timed = sum(event["take"] == "time" for event in before)
    assert sum(row["taken_over"] or 0 for row in rows["speed"]) == timed >= 1
    assert [row["status"] for row in rows["speed"]] == ["ok", "ok"]
    peaks = {event["memory"]["peak_rss_bytes"] for event in before if event["take"] == "memory"}
    assert {row["peak_rss_bytes"] for row in rows["memory"]} == peaks
    assert "resuming an interrupted sweep: 2 of 2 cells kept" in err
    assert noted() == []
