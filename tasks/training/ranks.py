"""Several processes that train one model: what `accelerate launch` does, without leaving a process behind.

The child that a flow starts is process 0. It starts the others, each with the same job; they meet through a file in
the working folder. If one dies, all do: process 0 hears of it, and the others (on Linux) die with process 0.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from nerbench.artifacts.errors import InputError
from nerbench.tasks.child import Emit, Job, event_of, run_child
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.inference.loading import resolve_device

PATIENCE_S = 10.0
"""How long an error waits for the news of a dead process, which would explain it."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train a model together."""

    number: int
    """0 is the one that writes."""
    count: int
    control: Any = None
    """The group for messages between the hosts, which wait for no accelerator."""

    def told(self, value: int) -> int:
        """The value of process 0."""
        if self.count == 1:
            return value
        message = torch.tensor(value)
        distributed.broadcast(message, 0, group=self.control)
        return int(message)

    def gathered(self, mine: Any) -> list[Any]:
        """What each process has, in their order, for all of them."""
        if self.count == 1:
            return [mine]
        each: list[Any] = [None] * self.count
        distributed.all_gather_object(each, mine, group=self.control)
        return each

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            distributed.barrier(group=self.control)


ALONE = Ranks(0, 1)


def training_device(model: ModelConfig) -> torch.device:
    """Where a model trains; of several GPUs its processes were shown the chosen ones only. Raises InputError."""
    return resolve_device("cuda" if model.device.startswith("cuda") else model.device, f"models: {model.name}: device")


@contextmanager
def ranks(model: ModelConfig, job: Job, emit: Emit) -> Iterator[Ranks]:
    """Meet the other processes that train a model; process 0 starts them. Raises InputError for too many.

    In process 0, the death of another is emitted as an error, and ends this process.
    """
    if model.processes == 1:
        yield ALONE
        return
    check_processes(model)
    number = job.get("rank", 0)
    others = _start_others(model, job, emit) if number == 0 else []
    try:
        together = _meet(model, training_device(model), number, job["work"])
        yield together
        together.wait()
    except RuntimeError:  # what torch says of a connection that has ended
        if others:
            time.sleep(PATIENCE_S)
        raise
    distributed.destroy_process_group()
    for other in others:
        other.join()


def check_processes(model: ModelConfig) -> None:
    """Raise InputError where this machine has fewer GPUs, or cores, than a model is to have processes."""
    device = training_device(model)
    kind, present = {"cuda": ("GPUs", torch.cuda.device_count()), "cpu": ("cores", _cores())}.get(
        device.type, (f"{device.type} device", 1)
    )
    if model.processes > present:
        problem = f"{model.processes} processes are more than the {present} {kind} here"
        raise InputError(f"models: {model.name}: processes", problem, f"give at most {present}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_others(model: ModelConfig, job: Job, emit: Emit) -> list[threading.Thread]:
    meeting = Path(job["work"]) / "meeting"
    meeting.parent.mkdir(parents=True, exist_ok=True)
    meeting.unlink(missing_ok=True)  # of a training that was killed
    torch.set_num_threads(max(1, torch.get_num_threads() // model.processes))
    # Threads that an exit does not wait for; each lives as long as its process, which dies with it.
    others = [
        threading.Thread(target=_attend_to, args=(model, job | {"rank": number}, emit), daemon=True)
        for number in range(1, model.processes)
    ]
    for other in others:
        other.start()
    return others


def _attend_to(model: ModelConfig, job: Job, emit: Emit) -> None:
    """Run one of the other processes to its end; if that is a bad one, it is this process's too."""
    what = f"process {job['rank']} of {model.processes}"
    try:
        run_child(
            "nerbench.tasks.training.finetune", job, what=what, env={"OMP_NUM_THREADS": str(torch.get_num_threads())}
        )
    except BaseException as error:
        emit(event_of(error))
        os._exit(1)  # the main thread may wait for the dead one for ever


def _meet(model: ModelConfig, device: torch.device, number: int, work: str) -> Ranks:
    names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": model.processes, "LOCAL_WORLD_SIZE": model.processes}
    names["OMP_NUM_THREADS"] = torch.get_num_threads()  # or accelerate would take them all
    os.environ.update({name: str(value) for name, value in names.items()})
    if device.type == "cuda":
        torch.cuda.set_device(number)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=(Path(work) / "meeting").as_uri(),
        rank=number,
        world_size=model.processes,
    )
    return Ranks(number, model.processes, distributed.new_group(backend="gloo"))
