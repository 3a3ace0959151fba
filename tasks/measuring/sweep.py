"""The parent's side of a sweep: the order of its processes, their progress, and the use of their results.

First, the memory of the cells is measured, in one process for each group if that gives equal peaks (`_may_share`),
otherwise in one for each cell. Then, `processes` times, each group is timed in one process, so that the processes of a
cell are far apart in time: a temporary disturbance of the machine affects a share of every cell's samples. A process
that is ended because of one cell is replaced by one for the remaining cells. Each measurement is recorded in the
journal at once; measurements of an interrupted sweep in the journal are not repeated.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.references import materialise
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.child_process import Emit, Job, run_child
from nerbench.tasks.config import BenchmarkConfig, SpeedConfig
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.measuring.interrupted_sweeps import Journal
from nerbench.tasks.measuring.latency_statistics import Amount
from nerbench.tasks.measuring.plan import OUT_OF_MEMORY, REFERENCE, Cell, Group, failure, tags_words
from nerbench.tasks.progress import clock, logger

log = logging.getLogger(__name__)


def sweep_progress(steps: int) -> Callable[[str], None]:
    """A callback for completed steps that logs their number and the remaining time."""
    started = time.monotonic()
    done = 0

    def listen(what: str) -> None:
        nonlocal done
        done += 1
        left = (time.monotonic() - started) / done * (steps - done)
        logger.info("%d of %d, about %s left; %s", done, steps, clock(left), what)

    return listen


TIMEOUT = "timeout"
KEPT = ("ok", TIMEOUT)
"""The statuses that are recorded in the journal; cells that failed otherwise are tried again."""


@dataclass(kw_only=True)
class Measured:
    """The measurements of a cell so far."""

    group: Group
    cell: Cell
    status: str = "ok"
    """`ok`, or why there are no numbers."""
    memory: Job = field(default_factory=dict)
    samples: list[list[float]] = field(default_factory=list)
    """Seconds per call, by process."""
    amounts: list[list[Amount]] = field(default_factory=list)
    """The input of each of those calls."""
    foreign: list[float] = field(default_factory=list)
    """Cores that other processes used, by process."""
    hosts: list[Job] = field(default_factory=list)
    """Calibration and threads, by process."""
    agreement: float | None = None
    single_process: bool = False
    """Whether it was measured in this process."""
    key: str = ""
    """The key in the journal."""
    kept: dict[int, Job] = field(default_factory=dict)
    """By number of the process, the timings of an interrupted sweep."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The common settings of all processes of a sweep."""

    speed: SpeedConfig
    benchmark: BenchmarkConfig
    sentences: list[list[str]]
    scratch: Path
    folders: dict[str, str]
    """The folders of models with weights, by artifact_id."""
    journal: Journal


def sweep(
    groups: Sequence[Group],
    speed: SpeedConfig,
    benchmark: BenchmarkConfig,
    sentences: list[list[str]],
    journal: Journal,
) -> Iterator[list[Measured]]:
    """Measure every cell of every group, and yield the cells of a model when they are complete, in order.

    The status of a cell has its failure.
    """
    with scratch_folder() as scratch:
        shared = Shared(
            speed=speed,
            benchmark=benchmark,
            sentences=sentences,
            scratch=scratch,
            folders=_folders(groups),
            journal=journal,
        )
        found = [[_recalled(group, cell, shared) for cell in group.cells] for group in groups]
        _say_what_is_kept([measured for one in found for measured in one])
        done = sweep_progress(sum(_missing(measured, shared) for one in found for measured in one))
        for one in found:
            _export(one, shared)
            _take_memory(one, shared, lambda measured: done(_progress_text(measured)))
        for number in range(speed.rounds - 1):
            for one in found:
                _time(one, shared, number, lambda measured: done(_progress_text(measured)))
        for _, of_model in groupby(found, key=lambda one: one[0].group.subject.artifact_id):
            cells: list[Measured] = []
            for one in of_model:
                _time(one, shared, speed.rounds - 1, lambda measured: done(_progress_text(measured)))
                cells += one
            yield cells


def _recalled(group: Group, cell: Cell, shared: Shared) -> Measured:
    """A cell with its records in the journal."""
    measured = Measured(group=group, cell=cell, single_process=not shared.speed.multi_process)
    if group.unavailable:
        measured.status = f"unavailable: {group.unavailable}"
        return measured
    measured.key = _key(measured, shared)
    compared = not _is_compared(group)
    for event in shared.journal.events(measured.key):
        if event["take"] == "memory":
            measured.memory, measured.status = event["memory"], event["status"]
        elif event["take"] == "agreement":
            measured.agreement, compared = event["agreement"], True
        elif event["round"] < shared.speed.rounds:
            measured.kept[event["round"]] = event
    if not compared:  # the process that should have compared the predictions was interrupted before
        measured.kept.pop(0, None)
    return measured


def _say_what_is_kept(cells: Sequence[Measured]) -> None:
    if kept := [measured for measured in cells if measured.memory or measured.kept]:
        timed = sum(len(measured.kept) for measured in kept)
        log.warning("resuming an interrupted sweep: %d of %d cells kept, timed %d ×", len(kept), len(cells), timed)
        for measured in kept:
            log.info("taken over: %s, timed %d ×", _progress_text(measured), len(measured.kept))


def _key(measured: Measured, shared: Shared) -> str:
    """A digest of everything that a cell's measurements depend on, except the machine."""
    places = ("folder", "onnx")
    job = {name: value for name, value in _job([measured], shared).items() if name not in places}
    return sha256_hex(canonical_json(job | {"artifact_id": measured.group.subject.artifact_id}))


def _missing(measured: Measured, shared: Shared) -> int:
    """The number of processes that a cell still needs, including the one for memory."""
    if measured.status != "ok":
        return 0
    timed = sum(number in measured.kept for number in range(shared.speed.rounds))
    return (not measured.memory) + shared.speed.rounds - timed


def _folders(groups: Sequence[Group]) -> dict[str, str]:
    artifacts = {group.subject.artifact_id: group.subject.artifact for group in groups}
    return {artifact_id: str(materialise(artifact)) for artifact_id, artifact in artifacts.items() if artifact}


def _progress_text(measured: Measured) -> str:
    group, cell = measured.group, measured.cell
    length = "real lengths" if cell.sequence_length is None else f"{cell.sequence_length} tokens"
    return f"{group.subject.name} {group.backend} {group.precision} {group.workload}, {cell.batch_size} × {length}"


def _export(cells: Sequence[Measured], shared: Shared) -> None:
    """Create the file that ONNX Runtime loads, once per model."""
    group = cells[0].group
    if group.backend == "onnx" and any(_missing(measured, shared) for measured in cells):
        with _failing(cells):
            _start("export", _job(cells, shared), what="the export to ONNX")


def _take_memory(cells: Sequence[Measured], shared: Shared, on_measured: Callable[[Measured], None]) -> None:
    """The memory of the cells without a problem, smallest first; real lengths, which need more code, last."""
    ascending = sorted(cells, key=lambda one: (one.cell.sequence_length is None, math.prod(filter(None, one.cell))))
    shares = _may_share(cells[0].group, shared)
    for of_process in [ascending] if shares else [[one] for one in ascending]:
        while left := [one for one in of_process if one.status == "ok" and not one.memory]:

            def used(measured: Measured, event: Job | None) -> None:
                if event:
                    measured.status = event["status"]
                    measured.memory = event["used"] | {"flops_per_token": _flops(measured, shared)}
                _keep(measured, shared, {"take": "memory", "memory": measured.memory})
                on_measured(measured)

            _run(left, shared, {"take": "memory"}, used)


def _may_share(group: Group, shared: Shared) -> bool:
    """Whether the peak of a cell is the same after other cells of its group.

    For inference with PyTorch on a CPU, it differs by 0 to 2 %, less than between processes (4 %), and measuring the
    memory of four lengths takes a third of the time. A training step leaves more memory behind (5 %), and compilers,
    ONNX Runtime and the allocators of accelerators keep the memory that they once had.
    """
    from nerbench.tasks.measuring.process.machine_state import resets_peaks

    is_plain = group.backend in {"eager", "int8"} and group.workload == "inference"
    return is_plain and resolve_device(shared.benchmark.device).type == "cpu" and resets_peaks()


def _flops(measured: Measured, shared: Shared) -> float | None:
    """Counted here, because counting would add to the memory of a measuring process."""
    from nerbench.tasks.measuring.process.backends import config_of, flops_per_token

    cell, group = measured.cell, measured.group
    if measured.status != "ok" or cell.sequence_length is None:
        return None
    shape = (cell.batch_size, cell.sequence_length)
    config = config_of(_job([measured], shared))
    return flops_per_token(config, *shape, training=group.workload == "training", head=group.head)


def _keep(measured: Measured, shared: Shared, event: Job) -> None:
    if measured.status in KEPT:
        shared.journal.note(measured.key, event | {"status": measured.status})


def _time(cells: Sequence[Measured], shared: Shared, number: int, on_measured: Callable[[Measured], None]) -> None:
    """Run one more process for the remaining cells, or several if cells end theirs."""
    heard = {id(measured) for measured in cells if measured.status == "ok" and _take_over(measured, number)}
    while left := [m for m in cells if m.status == "ok" and id(m) not in heard]:
        about: Job = {"take": "time", "round": number, "host": None}

        def host(event: Job, left: Sequence[Measured] = left, about: Job = about) -> None:
            about["host"] = event
            for measured in left:
                measured.hosts.append(event)

        def timed(measured: Measured, event: Job | None, about: Job = about) -> None:
            heard.add(id(measured))
            if event:
                _note(measured, event)
            _keep(measured, shared, (event or {}) | about)
            on_measured(measured)

        compare = number == 0 and _is_compared(left[0].group)
        result = _run(left, shared, {"take": "time", "round": number, "compare": compare}, timed, host)
        if result is None or not compare:
            continue
        for measured in left:
            measured.agreement = result["agreement"]
            _keep(measured, shared, {"take": "agreement", "agreement": measured.agreement})


def _run(
    left: Sequence[Measured],
    shared: Shared,
    task: Job,
    on_cell: Callable[[Measured, Job | None], None],
    on_host: Callable[[Job], None] = lambda event: None,
) -> Job | None:
    """Run a process for some cells; `on_cell` gets the results of each, or None if the process died there.

    Returns its result, or None if it died.
    """
    at = left  # until the process reports the current cell, it counts for all of them

    def listen(event: Job) -> None:
        nonlocal at
        if event["event"] == "host":
            on_host(event)
            return
        at = [left[event["cell"]]]
        if event["event"] != "cell":
            (measured,), at = at, []
            on_cell(measured, event)

    try:
        return _start("child", _job(left, shared) | task, what="measuring", on_event=listen)
    except RunFailedError as error:
        for measured in at:
            measured.status = _status(error)
            on_cell(measured, None)
        return None


def _start(name: str, job: Job, *, what: str, on_event: Emit = lambda event: None) -> Job:
    """Do a job in a separate process, or in this one, where errors and debuggers are visible."""
    if job["multi_process"]:
        return run_child(f"nerbench.tasks.measuring.process.{name}", job, what=what, on_event=on_event)
    from nerbench.tasks.measuring.process import child, export

    return (child.measure if name == "child" else export.export)(job, on_event)


def _take_over(measured: Measured, number: int) -> bool:
    """Whether an interrupted sweep has timed a cell in the process of this number."""
    event = measured.kept.get(number)
    if event:
        measured.hosts += [event["host"]] if event["host"] else []
        _note(measured, event)
    return event is not None


def _is_compared(group: Group) -> bool:
    return (group.workload, group.head) == ("inference", "token") and (group.backend, group.precision) != REFERENCE


def _note(measured: Measured, event: Job) -> None:
    measured.status = event["status"]
    if measured.status == "ok":
        round_of_calls = [Amount(*amount) for amount in event["amounts"]]
        measured.samples.append(event["samples"])
        measured.amounts.append(round_of_calls * (len(event["samples"]) // len(round_of_calls)))
        measured.foreign += [event["foreign_cores"]] if event["foreign_cores"] is not None else []


def _job(cells: Sequence[Measured], shared: Shared) -> Job:
    group = cells[0].group
    subject = group.subject
    return {
        "folder": shared.folders.get(subject.artifact_id),
        "settings": subject.settings,
        "positions": subject.positions,
        "onnx": str(shared.scratch / f"{subject.artifact_id}.onnx"),
        "device": shared.benchmark.device,
        "window": shared.benchmark.max_length,
        "backend": group.backend,
        "precision": group.precision,
        "workload": group.workload,
        "head": group.head,
        "cells": [measured.cell for measured in cells],
        "sentences": shared.sentences if tags_words(subject, shared.speed) else [],
        "iterations": shared.speed.iterations,
        "minimum_s": shared.speed.minimum_s,
        "timeout_s": shared.speed.timeout_s if shared.speed.multi_process else None,
        "multi_process": shared.speed.multi_process,
    }


@contextmanager
def _failing(cells: Sequence[Measured]) -> Iterator[None]:
    """Give the cells of a failed process their status."""
    try:
        yield
    except RunFailedError as error:
        for measured in cells:
            measured.status = _status(error)


def _status(error: RunFailedError) -> str:
    """The status after the end of a process: the timer's signal, that of a kernel without memory, or an error."""
    if signal.SIGALRM.name in str(error):
        return TIMEOUT
    return OUT_OF_MEMORY if signal.SIGKILL.name in str(error) else failure(str(error))
