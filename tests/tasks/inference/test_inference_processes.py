"""Several processes for one job: their results and events, and the error if one of them fails."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.tasks.child_process import Emit, Job
from nerbench.tasks.inference import processes
from nerbench.tasks.inference.processes import check_processes, meeting, run_processes, visible_gpus

CORES = processes._cores()

two_cores = pytest.mark.skipif(CORES < 2, reason="two processes need two cores")


def work(job: Job, emit: Emit) -> Job:
    """The work of the processes in these tests."""
    number = int(os.environ["RANK"])
    with meeting("cpu") as state:
        emit({"event": "begun", "process": number, "pid": os.getpid(), "threads": torch.get_num_threads()})
        if job.get("wrong"):
            raise InputError("field", "is wrong", "correct it")
        if job.get("dies") == number:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.get("ends") == number:
            os._exit(3)
        if job.get("raises") == number:
            raise RunFailedError("no luck")
        if job.keys() & {"dies", "ends", "raises"}:
            torch.distributed.barrier()
            time.sleep(600)
        with state.split_between_processes(job["items"]) as mine:
            return {"process": number, "mine": mine}


def run(job: Job, monkeypatch: pytest.MonkeyPatch, count: int = 2) -> tuple[list[Job], list[Job]]:
    """The results, and the events."""
    events: list[Job] = []
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    options: dict[str, Any] = {"processes": count, "device": "cpu", "field": "benchmark.", "what": "counting"}
    return run_processes(f"{work.__module__}:{work.__name__}", job, **options, on_event=events.append), events


@two_cores
@pytest.mark.slow
def test_each_process_has_its_part_and_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    results, events = run({"items": [1, 2, 3]}, monkeypatch)
    assert results == [{"process": 0, "mine": [1, 2]}, {"process": 1, "mine": [3]}]
    assert sorted(event["process"] for event in events) == [0, 1]
    assert {event["threads"] for event in events} == {max(1, torch.get_num_threads() // 2)}


@two_cores
@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "said"),
    [
        (
            {"dies": 1},
            r"^counting failed: process 1 of 2 was killed by SIGKILL \(the system may",
        ),
        ({"ends": 0}, "^counting failed: process 0 of 2 ended with status 3 and no result$"),
        ({"raises": 1}, "^counting failed: process 1 of 2: no luck$"),
    ],
    ids=str,
)
def test_a_process_that_fails_is_named_and_ends_all(job: Job, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunFailedError, match=said):
        run(job, monkeypatch)


@two_cores
@pytest.mark.slow
def test_a_wrong_request_keeps_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="field: is wrong"):
        run({"wrong": True}, monkeypatch)


def test_more_processes_than_cores_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=rf"benchmark\.processes: {CORES + 1} processes are more"):
        run({}, monkeypatch, CORES + 1)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 processes are more than the 1 GPUs here; give at most 1"):
        check_processes(2, "cuda", "models: tiny: ")
    check_processes(1, "cuda", "models: tiny: ")


@pytest.mark.parametrize(
    ("device", "count", "visible", "shown"),
    [
        ("auto", 1, None, "0"),
        ("cuda:2", 1, None, "2"),
        ("auto", 3, None, "0,1,2"),
        ("cuda:1", 1, "4,GPU-5f,6", "GPU-5f"),
        ("cuda", 2, "4,GPU-5f,6", "4,GPU-5f"),
        ("cpu", 2, "4", None),
    ],
)
def test_a_child_sees_as_many_gpus_as_it_has_processes(
    monkeypatch: pytest.MonkeyPatch, device: str, count: int, visible: str | None, shown: str | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus(device, count).get("CUDA_VISIBLE_DEVICES") == shown
