"""The parent's side of a sweep: which processes run after which, and what becomes of what they say.

First each cell's memory, in a process of its own. Then, `processes` times, one process for each group, so that the
processes of a cell stand far apart: whatever the machine does for a while, it does to a share of every cell's samples.
A process that is ended for its cell's sake is replaced by one for the cells that are left.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.references import materialise
from nerbench.tasks.child import Job, run_child
from nerbench.tasks.config import BenchmarkConfig, SpeedConfig
from nerbench.tasks.measuring.plan import OUT_OF_MEMORY, REFERENCE, Cell, Group, failure
from nerbench.tasks.measuring.progress import sweep_progress
from nerbench.tasks.measuring.samples import Amount


@dataclass(kw_only=True)
class Measured:
    """What is known of a cell so far."""

    group: Group
    cell: Cell
    status: str = "ok"
    """`ok`, or why there is no number."""
    memory: Job = field(default_factory=dict)
    samples: list[list[float]] = field(default_factory=list)
    """Seconds a call, by process."""
    amounts: list[list[Amount]] = field(default_factory=list)
    """What each of those calls worked on."""
    foreign: list[float] = field(default_factory=list)
    """Cores that other processes kept busy, by process."""
    hosts: list[Job] = field(default_factory=list)
    """Calibration and threads, by process."""
    agreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What all processes of a sweep share."""

    speed: SpeedConfig
    benchmark: BenchmarkConfig
    sentences: list[list[str]]
    scratch: Path
    folders: dict[str, str]
    """Where the models with weights are, by artifact_id."""


def sweep(
    groups: Sequence[Group], speed: SpeedConfig, benchmark: BenchmarkConfig, sentences: list[list[str]]
) -> list[Measured]:
    """Measure every cell of every group, in their order; what goes wrong in one is its status."""
    found = [[Measured(group=group, cell=cell) for cell in group.cells] for group in groups]
    todo = [cells for cells in found if _is_available(cells)]
    cells = sum(map(len, todo))
    done = sweep_progress(cells * (1 + speed.processes))
    with TemporaryDirectory(prefix="nerbench-sweep-") as scratch:
        shared = Sweep(
            speed=speed, benchmark=benchmark, sentences=sentences, scratch=Path(scratch), folders=_folders(groups)
        )
        for one in todo:
            _export(one, shared)
            for measured in one:
                _take_memory(measured, shared)
                done(_told(measured))
        for number in range(speed.processes):
            for one in todo:
                _time(one, shared, number, lambda measured: done(_told(measured)))
    return [measured for one in found for measured in one]


def _folders(groups: Sequence[Group]) -> dict[str, str]:
    artifacts = {group.subject.artifact_id: group.subject.artifact for group in groups}
    return {artifact_id: str(materialise(artifact)) for artifact_id, artifact in artifacts.items() if artifact}


def _is_available(cells: Sequence[Measured]) -> bool:
    reason = cells[0].group.unavailable
    for measured in cells:
        measured.status = f"unavailable: {reason}" if reason else "ok"
    return reason is None


def _told(measured: Measured) -> str:
    group, cell = measured.group, measured.cell
    length = "real lengths" if cell.sequence_length is None else f"{cell.sequence_length} pieces"
    return f"{group.subject.name} {group.backend} {group.precision} {group.workload}, {cell.batch_size} × {length}"


def _export(cells: Sequence[Measured], shared: Sweep) -> None:
    """Make the file that ONNX Runtime loads, once a model."""
    group = cells[0].group
    if group.backend == "onnx":
        with _failing(cells):
            run_child("nerbench.tasks.measuring.process.export", _job(cells, shared), what="the export to ONNX")


def _take_memory(measured: Measured, shared: Sweep) -> None:
    if measured.status == "ok":
        with _failing([measured]):
            job = _job([measured], shared) | {"take": "memory"}
            measured.memory = run_child("nerbench.tasks.measuring.process.child", job, what="measuring")
            measured.status = measured.memory["status"]


def _time(cells: Sequence[Measured], shared: Sweep, number: int, told: Callable[[Measured], None]) -> None:
    """One more process for the cells that nothing is wrong with yet, or several where cells end theirs."""
    heard: set[int] = set()
    while left := [m for m in cells if m.status == "ok" and id(m) not in heard]:
        at = left  # until the process says which cell it is at, it is at all of them

        def listen(event: Job, left: Sequence[Measured] = left) -> None:
            nonlocal at
            if event["event"] == "host":
                for measured in left:
                    measured.hosts.append(event)
                return
            at = [left[event["cell"]]]
            if event["event"] == "timed":
                heard.add(id(at[0]))
                _note(at[0], event)
                told(at[0])

        compare = number == 0 and _is_compared(left[0].group)
        job = _job(left, shared) | {"take": "time", "round": number, "compare": compare}
        try:
            result = run_child("nerbench.tasks.measuring.process.child", job, what="measuring", on_event=listen)
        except RunFailedError as error:
            for measured in at:
                if id(measured) not in heard:
                    measured.status = _status(error)
                    told(measured)
            continue
        for measured in left:
            measured.agreement = result["agreement"] if compare else measured.agreement


def _is_compared(group: Group) -> bool:
    return group.workload == "inference" and (group.backend, group.precision) != REFERENCE


def _note(measured: Measured, event: Job) -> None:
    measured.status = event["status"]
    if measured.status == "ok":
        round_of_calls = [Amount(*amount) for amount in event["amounts"]]
        measured.samples.append(event["samples"])
        measured.amounts.append(round_of_calls * (len(event["samples"]) // len(round_of_calls)))
        measured.foreign += [event["foreign_cores"]] if event["foreign_cores"] is not None else []


def _job(cells: Sequence[Measured], shared: Sweep) -> Job:
    group = cells[0].group
    subject = group.subject
    return {
        "folder": shared.folders.get(subject.artifact_id),
        "settings": subject.settings,
        "positions": subject.positions,
        "onnx": str(shared.scratch / f"{subject.artifact_id}.onnx"),
        "device": shared.benchmark.device,
        "window": shared.benchmark.window,
        "backend": group.backend,
        "precision": group.precision,
        "workload": group.workload,
        "cells": [measured.cell for measured in cells],
        "sentences": shared.sentences if subject.artifact else [],
        "iterations": shared.speed.iterations,
        "minimum_s": shared.speed.minimum_s,
        "timeout_s": shared.speed.timeout_s,
    }


@contextmanager
def _failing(cells: Sequence[Measured]) -> Iterator[None]:
    """A process that fails gives its cells their status."""
    try:
        yield
    except RunFailedError as error:
        for measured in cells:
            measured.status = _status(error)


def _status(error: RunFailedError) -> str:
    """What the end of a process says: the timer's signal, that of a kernel without memory, or an error."""
    if signal.SIGALRM.name in str(error):
        return "timeout"
    return OUT_OF_MEMORY if signal.SIGKILL.name in str(error) else failure(str(error))
