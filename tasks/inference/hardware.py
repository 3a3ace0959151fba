"""Properties of this machine that can change a prediction: device, instruction set, threads; without torch if possible.

Importing torch takes seconds, and a run whose predictions are all cached needs nothing else of it. Therefore, its
answers are derived here as torch and its MKL derive them, for Linux on x86-64 with plain settings; elsewhere,
torch is imported. If torch is loaded, its answers count, and a difference is logged.
"""

import logging
import os
import platform
import re
import sys
from ctypes import CDLL
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nerbench.tasks.environment import cpu_flags
from nerbench.tasks.inference.loading import resolve_device

log = logging.getLogger(__name__)

ACCELERATORS = ("/dev/nvidia*", "/dev/dxg", "/dev/kfd")
"""Device files of NVIDIA's driver, of Windows's for Linux, and of AMD's."""
AVX2 = frozenset({"avx2", "fma"})
AVX512 = AVX2 | {"avx512vl", "avx512bw", "avx512dq"}
"""The processor flags that torch wants for an instruction set."""
CAPABILITY = "ATEN_CPU_CAPABILITY"
THREADS = ("MKL_NUM_THREADS", "OMP_NUM_THREADS")
"""Environment variables with the number of threads; the first that is set counts."""
HARMLESS = frozenset({*THREADS, "GOMP_SPINCOUNT"})
CPUS = Path("/sys/devices/system/cpu")


class Processor(NamedTuple):
    """The processor, as torch describes it."""

    capability: str
    """The instruction set that torch's kernels use, as `torch.backends.cpu.get_cpu_capability()`."""
    threads: int
    """As `torch.get_num_threads()`."""


def device_type(device: str, field: str = "benchmark.device") -> str:
    """The type of the device asked for: `cpu`, `cuda` or `mps`. Raises like `resolve_device`."""
    if is_torch_loaded() or not (device == "cpu" or (device == "auto" and not may_have_accelerator())):
        return str(resolve_device(device, field).type)
    return "cpu"


def device_name(device: str) -> str:
    """The identity of a device: the name of a GPU, or else the device type. Raises like `resolve_device`."""
    if (kind := device_type(device)) != "cuda":
        return kind
    import torch

    return str(torch.cuda.get_device_name(resolve_device(device)))


def processor() -> Processor:
    """The processor as torch uses it."""
    derived = derived_processor()
    if derived and not is_torch_loaded():
        return derived
    import torch

    asked = Processor(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
    if derived not in {None, asked}:
        _report(f"{derived}", f"{asked}")
    return asked


def fuses_gelu() -> bool:
    """Whether oneDNN computes a product and the GELU after it in one call.

    With AVX2, its GELU is slower than torch's: on a layer of 384 × 1536, product and GELU reach 75 GFLOP/s per core in
    one call, and 85 one after another.
    """
    return processor().capability != "AVX2"


@cache
def _report(derived: str, asked: str) -> None:
    """Report a difference, once for each."""
    log.warning("nerbench derived %s for this machine, but torch reports %s, which is used", derived, asked)


def is_torch_loaded() -> bool:
    """Whether this process has imported torch."""
    return "torch" in sys.modules


@cache
def may_have_accelerator() -> bool:
    """Whether torch may find one: False only if there is no driver of any."""
    if platform.system() != "Linux":
        return True
    if any(next(Path("/").glob(pattern[1:]), None) for pattern in ACCELERATORS):
        return True
    try:
        CDLL("libcuda.so.1")  # it may load the driver
    except OSError:
        return False
    return True


def derived_processor() -> Processor | None:
    """The answers of torch; None if they are not certain."""
    capability, threads = _capability(), _threads()
    return Processor(capability, threads) if capability and threads else None


def _capability() -> str | None:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    if wanted := os.environ.get(CAPABILITY):
        return wanted.upper() if wanted in {"avx512", "avx2", "default"} else None
    flags = cpu_flags()
    return "AVX512" if flags >= AVX512 else "AVX2" if flags >= AVX2 else "DEFAULT" if flags else None


def _threads() -> int | None:
    """MKL's threads: as many as wanted, at most one for each core that this process may use."""
    settings = {name: value for name, value in os.environ.items() if name.startswith(("MKL_", "OMP_", "GOMP_", "KMP_"))}
    wanted = [settings[name] for name in THREADS if name in settings]
    if not HARMLESS.issuperset(settings) or not all(re.fullmatch(r"[1-9]\d{0,5}", number) for number in wanted):
        return None
    cores = _usable_cores()
    return min(int(wanted[0]), cores) if cores and wanted else cores


def _usable_cores() -> int | None:
    """The cores of this process, each counted once, however many threads it runs at a time."""
    try:
        folders = [CPUS / f"cpu{number}" / "topology" for number in os.sched_getaffinity(0)]
        return len({tuple((at / name).read_text() for name in ("physical_package_id", "core_id")) for at in folders})
    except (AttributeError, OSError):
        return None
