"""Several processes that do one job together on this machine: torch's elastic agent starts, watches and ends them.

The agent is a child: `python -m nerbench.tasks.inference.processes < job.json`. This module adds what the agent lacks:
the parent gets the events of the processes; one line names the process that failed; all processes end with the parent;
and they meet through a file, because the agent's TCP store would listen on every network interface.
"""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from typing import TYPE_CHECKING, Literal

from nerbench.artifacts.errors import InputError, NerbenchError, RunFailedError, pass_interrupts
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.child_process import GRACE_S, PARENT, Emit, Job, die_with_parent, ending, event_of, run_child, serve
from nerbench.tasks.inference.hardware import device_type, processor

if TYPE_CHECKING:
    from accelerate import PartialState

NEWS_S = 5.0
"""Seconds before a broken connection is reported: if another process died, the agent ends this one sooner."""
MEETING = "NERBENCH_MEETING"
"""The environment variable with the file through which the processes meet."""


def run_processes(  # noqa: PLR0913 - run_child's, and where it runs
    function: str,
    job: Job,
    *,
    processes: int,
    device: str,
    field: str,
    what: str,
    on_event: Emit = lambda event: None,
) -> list[Job]:
    """Run `function` (`module:name`, takes a job and an Emit) in so many processes. Returns the results in order.

    Each process has its own GPU or its share of the cores. `field`: the prefix of `device` and `processes` in the
    configuration. Raises like `run_child`, and InputError if the machine has fewer GPUs or cores.
    """
    shared = {"function": function, "job": job, "processes": processes, "device": device, "field": field}
    env = visible_gpus(device, processes)
    results: list[Job] = run_child("nerbench.tasks.inference.processes", shared, what=what, on_event=on_event, env=env)[
        "results"
    ]
    return results


def visible_gpus(device: str, processes: int) -> dict[str, str]:
    """An environment in which a child sees as many GPUs as it has processes; Trainer would spread a batch over more."""
    if device in {"cpu", "mps"}:
        return {}
    first = int(device.partition(":")[2] or 0)
    wanted = range(first, first + processes)
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return {"CUDA_VISIBLE_DEVICES": ",".join(visible.split(",")[wanted.start : wanted.stop])}
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, wanted))}


def check_processes(processes: int, device_type: str, field: str) -> None:
    """Raise InputError if this machine has fewer GPUs or cores than processes are wanted."""
    if device_type == "cuda":
        import torch

        kind, present = "GPUs", torch.cuda.device_count()
    else:
        kind, present = ("cores", _cores()) if device_type == "cpu" else (f"{device_type} device", 1)
    if processes > present:
        problem = f"{processes} processes are more than the {present} {kind} here"
        raise InputError(f"{field}processes", problem, f"give at most {present}")


BLOCKS_PER_GPU = 64
"""With `processes: auto`, a GPU gets a process for at least this many blocks (1.8 million words of news), because its
process takes about ten seconds to start. Not measured on several GPUs."""


def processes_for(processes: int | Literal["auto"], device: str, blocks: int) -> int:
    """The number of processes for so many blocks: as configured. `auto` is one, or one per GPU if that is worth it."""
    import torch

    from nerbench.tasks.inference.loading import resolve_device

    if processes != "auto":
        return processes
    found = resolve_device(device)
    gpus = torch.cuda.device_count() if found.type == "cuda" and found.index is None else 1
    return max(1, min(gpus, blocks // BLOCKS_PER_GPU))


def threads_of_each(processes: int) -> int:
    """The number of threads of each of so many processes that share the threads of this one."""
    return max(1, processor().threads // processes)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def meeting(device: str) -> "Iterator[PartialState]":
    """In a process of a job: accelerate's state, through which the processes exchange messages; `cpu` or `cuda`."""
    from accelerate import PartialState
    from torch import distributed

    distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        init_method=Path(os.environ[MEETING]).as_uri(),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
    )
    yield PartialState(cpu=device == "cpu")
    distributed.destroy_process_group()


def _agent(job: Job, emit: Emit) -> Job:
    """Start the processes and wait for them; if one fails, end the others."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    count = job["processes"]
    check_processes(count, device_type(job["device"].partition(":")[0], f"{job['field']}device"), job["field"])
    with scratch_folder() as folder, _forwarded(count, emit) as writers:
        os.environ |= {
            PARENT: str(os.getpid()),
            MEETING: f"{folder}/meeting",
            "OMP_NUM_THREADS": str(threads_of_each(count)),
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="nerbench",
            rdzv_backend="c10d",
            rdzv_endpoint=f"{folder}/agent",
            rdzv_configs={"store_type": "file"},
            local_addr="127.0.0.1",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
            shutdown_timeout=int(GRACE_S),
        )
        try:
            results = elastic_launch(config, _process)(job["function"], job["job"], writers)
        except ChildFailedError as error:
            number, failure = error.get_first_failure()
            raise RunFailedError(f"process {number} of {count} {ending(failure.exitcode)}") from error
    return {"results": [results[number] for number in range(count)]}


@contextmanager
def _forwarded(count: int, emit: Emit) -> Iterator[Sequence[Connection]]:
    """A connection for each process, whose events are emitted. On exit, everything that a process sent has been
    emitted."""
    readers, writers = zip(*(Pipe(duplex=False) for _ in range(count)), strict=True)
    listener = Thread(target=_forward, args=(list(readers), emit), daemon=True)
    listener.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.close()
        listener.join()


def _forward(readers: list[Connection], emit: Emit) -> None:
    while readers:
        for reader in wait(readers):
            assert isinstance(reader, Connection)
            try:
                event = reader.recv()
            except (EOFError, OSError):  # the process has ended, perhaps while writing
                readers.remove(reader)
            else:
                emit(event)


def _process(function: str, job: Job, writers: Sequence[Connection]) -> Job:
    """The result of one process, or its error as its last event."""
    die_with_parent()
    number = int(os.environ["RANK"])
    work: Callable[[Job, Emit], Job] = resolve_name(function)
    try:
        result = work(job, writers[number].send)
    except BaseException as error:
        pass_interrupts(error)
        if not isinstance(error, NerbenchError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the agent ends this process if another one died
            time.sleep(NEWS_S)
        writers[number].send(_named(event_of(error), f"process {number} of {len(writers)}"))
        raise
    gc.freeze()  # as in `serve`
    return result


def _named(event: Job, process: str) -> Job:
    return event | {"message": f"{process}: {event['message']}"} if "message" in event else event


if __name__ == "__main__":
    serve(_agent)
