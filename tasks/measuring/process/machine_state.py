"""Memory of the process, its accelerator and a model's weights, and the load by other processes.

The kernel and the driver provide these numbers; otherwise, they are unknown.
"""

import ctypes
import gc
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def settle() -> None:
    """Return freed memory to the system, and reset the peaks (on Linux; on other systems, peaks count from the
    start)."""
    gc.collect()
    # glibc keeps freed memory; other C libraries have no such call
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
    if resets_peaks():
        CLEAR_REFS.write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def resets_peaks() -> bool:
    """Whether `settle` resets the peaks of a process."""
    return CLEAR_REFS.exists() and os.access(CLEAR_REFS, os.W_OK)


def resident_bytes() -> int | None:
    """The current memory of this process."""
    return _status_bytes("VmRSS")


def peak_bytes() -> int | None:
    """The peak memory of this process since `settle`."""
    return _status_bytes("VmHWM")


def _status_bytes(field: str) -> int | None:
    if not STATUS.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def device_peaks(device: torch.device) -> dict[str, int | None]:
    """The peak memory on the accelerator since `settle`: of tensors, of PyTorch's allocator, and of this process."""
    if device.type != "cuda":
        return dict.fromkeys(("peak_device_bytes", "peak_reserved_bytes", "peak_process_bytes"))
    return {
        "peak_device_bytes": torch.cuda.max_memory_allocated(device),
        "peak_reserved_bytes": torch.cuda.max_memory_reserved(device),
        "peak_process_bytes": _process_bytes(),  # it never shrinks, so this is its peak
    }


def _process_bytes() -> int | None:
    """The memory of this process according to the driver; None if the driver does not know it, as in most
    containers."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    own = [line.split(",")[1] for line in done.stdout.splitlines() if line.split(",")[0].strip() == str(os.getpid())]
    return sum(int(mebibytes) << 20 for mebibytes in own) if own else None


def weights_bytes(model: torch.nn.Module) -> int:
    """Bytes of a model's parameters in memory, including quantized ones."""
    from nerbench.tasks.inference.quantized_linear import QuantizedLinear

    quantized = (module for module in model.modules() if isinstance(module, QuantizedLinear))
    tensors = [*model.parameters(), *(part for one in quantized for part in one.buffers())]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


STAT = Path("/proc/stat")
IDLE = (3, 4)
"""Columns of a `cpu` line without computation: idle, and waiting for a disk."""
COUNTED = 8
"""Columns from user to steal, which is the work of other machines on these cores; user includes that of guests."""


class Moment(NamedTuple):
    """Processor seconds at one time."""

    wall_s: float
    own_s: float
    """Processor seconds of this process."""
    busy_s: float | None
    """Processor seconds of all processes; None if the kernel does not report them."""


def moment() -> Moment:
    """The current processor seconds."""
    return Moment(time.perf_counter(), time.process_time(), busy_seconds())


def busy_seconds() -> float | None:
    """Processor seconds that all processes and all machines on these cores have used since the start."""
    if not STAT.exists():
        return None
    ticks = [int(field) for field in STAT.read_text().partition("\n")[0].split()[1 : COUNTED + 1]]
    return sum(value for column, value in enumerate(ticks) if column not in IDLE) / os.sysconf("SC_CLK_TCK")


def foreign_cores(before: Moment, after: Moment) -> float | None:
    """Average number of cores that other processes used between two moments; 0.5 is half of one core's time."""
    if before.busy_s is None or after.busy_s is None or after.wall_s <= before.wall_s:
        return None
    foreign = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return max(0.0, foreign / (after.wall_s - before.wall_s))
