"""A measuring process. Run as a child: `python -m nerbench.tasks.measuring.process.child < job.json`.

A process loads one model in one way. It times all its cells, in its own order, or measures their memory. It reports the
current cell before anything can fail there; a timer of the kernel ends it if a cell takes too long.
"""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.measuring.plan import OUT_OF_MEMORY, Cell, failure
from nerbench.tasks.measuring.process.backends import Loaded, compiled, config_of, import_code, load, load_eager
from nerbench.tasks.measuring.process.clock import Limits, calibrate, sample, warm_up
from nerbench.tasks.measuring.process.machine_state import (
    device_peaks,
    foreign_cores,
    moment,
    peak_bytes,
    resident_bytes,
    settle,
)
from nerbench.tasks.measuring.process.work import random_batch, work_of

WARM_UP_CALLS = 20
"""Number of calls on real lengths that the warm-up repeats."""
MEMORY_CALLS = 3
"""Calls of one shape for measuring the peak; the optimizer's state exists from the second call on."""
COMPARED = (8, 128)
"""Sentences and tokens of random text for comparing predictions without a corpus."""


def measure(job: Job, emit: Emit) -> Job:
    """Carry out the job: `take` is `time` or `memory`."""
    device = resolve_device(job["device"])
    return _time(job, device, emit) if job["take"] == "time" else _memory(job, device, emit)


def _time(job: Job, device: torch.device, emit: Emit) -> Job:
    """Calibrate, load, time every cell, and compare predictions if the job asks for it."""
    emit({"event": "host", "device": name_of(device), "threads": torch.get_num_threads()} | calibrate(device))
    with _within(job["timeout_s"]):
        loaded = load(job, device)
    order = list(range(len(job["cells"])))
    random.Random(job["round"]).shuffle(order)  # what a cell leaves behind must not always affect the same cell
    for number in order:
        emit({"event": "cell", "cell": number})
        with _within(job["timeout_s"]):
            emit({"event": "timed", "cell": number} | _timed(Cell(*job["cells"][number]), loaded, job))
    return {"agreement": _agreement(loaded, job) if job["compare"] else None}


def _timed(cell: Cell, loaded: Loaded, job: Job) -> Job:
    try:
        work = work_of(cell, loaded, job)
        warm_up(work.calls[:WARM_UP_CALLS], work.seconds)
        before = moment()
        samples = sample(work.calls, work.seconds, Limits(job["iterations"], job["minimum_s"]))
        foreign = foreign_cores(before, moment())
    except (MemoryError, RuntimeError) as error:
        return _failed(error, job)
    return {"status": "ok", "samples": samples, "amounts": work.amounts, "foreign_cores": foreign}


def _failed(error: Exception, job: Job) -> Job:
    """The status of a cell that failed. When debugging, errors other than missing memory are raised."""
    status = failure(f"{type(error).__name__}: {error}")
    if status != OUT_OF_MEMORY and not job["multi_process"]:
        raise error
    return {"status": status}


def _memory(job: Job, device: torch.device, emit: Emit) -> Job:
    """Load the model and call it a few times in each cell; the peak includes the weights."""
    import_code(config_of(job), job["head"])
    settle()
    baseline = resident_bytes()
    with _within(job["timeout_s"]):
        started = time.perf_counter()
        loaded = load(job, device)
        load_s = time.perf_counter() - started
    known = {
        "parameters": loaded.parameters,
        "loaded_weights_bytes": loaded.loaded_bytes,
        "load_s": load_s,
        "baseline_rss_bytes": baseline,
    }
    for number, cell in enumerate(job["cells"]):
        emit({"event": "cell", "cell": number})
        with _within(job["timeout_s"]):
            used = _used(Cell(*cell), loaded, job)
        status = used.pop("status")
        if number and status == "ok":
            used["first_call_s"] = None  # the calls of other cells came before
        emit({"event": "used", "cell": number, "status": status, "used": known | used if used else {}})
    return {}


def _used(cell: Cell, loaded: Loaded, job: Job) -> Job:
    settle()
    try:
        work = work_of(cell, loaded, job)
        first_call_s = work.seconds(work.calls[0])
        for call in (work.calls * MEMORY_CALLS)[1 : max(MEMORY_CALLS, len(work.calls))]:
            call()
    except (MemoryError, RuntimeError) as error:
        return _failed(error, job)
    peaks = {"peak_rss_bytes": peak_bytes(), **device_peaks(loaded.device)}
    if job["backend"] == "onnx":  # PyTorch does not know its memory on an accelerator
        peaks |= {"peak_device_bytes": None, "peak_reserved_bytes": None}
    return {"status": "ok", "first_call_s": first_call_s, **peaks}


def _agreement(loaded: Loaded, job: Job) -> float | None:
    """The share of words (without a corpus: of random tokens) with the same tag as in eager fp32; None if memory is
    lacking."""
    try:
        if job["backend"] == "compile":
            loaded = compiled(loaded, dynamic=True)
        reference = load_eager(job, loaded.device, "fp32")
        return float(np.mean(_predicted(loaded, job) == _predicted(reference, job)))
    except (MemoryError, RuntimeError):  # the timings must not be lost because of it
        return None


def name_of(device: torch.device) -> str:
    """The value of the column `device`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)


def _predicted(loaded: Loaded, job: Job) -> Any:
    if loaded.tagger and job["sentences"]:
        return predict_block(loaded.tagger, job["sentences"]).labels
    sentences, pieces = COMPARED
    batch = random_batch(loaded, sentences, min(pieces, job["positions"]))
    with torch.inference_mode():
        return loaded.model(input_ids=batch["input_ids"]).logits.argmax(dim=-1).cpu().numpy()


@contextmanager
def _within(seconds: float | None) -> Iterator[None]:
    """Let the kernel end this process if the block takes longer; None: never."""
    if seconds is None:
        yield
        return
    before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


if __name__ == "__main__":
    serve(measure)
