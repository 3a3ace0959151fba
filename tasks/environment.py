"""Where a run happens: machine, versions, code; the columns that the `runs` table and the manifests record."""

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "tokenizers", "prefect", "datasets", "accelerate", "safetensors", "pyarrow")
PROJECT = Path(__file__).resolve().parent.parent
CPUINFO = Path("/proc/cpuinfo")
NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Processor flags (x86, Arm) that mean bf16 is computed, not emulated."""


def environment() -> dict[str, Any]:
    """Machine, versions and code as columns of the `runs` table; null where something is not known."""
    gpu = _gpu()
    code = code_version()
    return {
        "code_commit": code["commit"],
        "code_dirty": code["dirty"],
        "host": platform.node(),
        "cpu": _cpu_name(),
        "cpu_flags": " ".join(sorted(_cpu_flags())) or None,
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "ram_bytes": _ram_bytes(),
        **gpu,
        "python": platform.python_version(),
        **{name: installed(name) for name in ("torch", "transformers", "tokenizers", "prefect")},
    }


def code_version(folder: Path = PROJECT) -> dict[str, Any]:
    """The `commit` of a checkout and whether it is `dirty`; None where the folder is not the top of a repository."""
    known = {"commit": None, "dirty": None}
    top = _output("git", "-C", str(folder), "rev-parse", "--show-toplevel")
    if top is None or Path(top) != folder.resolve():  # a checkout that happens to lie around us says nothing about us
        return known
    commit = _output("git", "-C", str(folder), "rev-parse", "--verify", "HEAD")
    status = _output("git", "--no-optional-locks", "-C", str(folder), "status", "--porcelain")
    return known if commit is None else {"commit": commit, "dirty": status != ""}


def library_versions() -> dict[str, str]:
    """Versions of Python and of what a prediction or a table depends on."""
    found = {name: installed(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | {name: number for name, number in found.items() if number}


def installed(package: str) -> str | None:
    """The installed version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_has_bf16() -> bool:
    """Whether the processor computes bf16 natively."""
    return bool(NATIVE_BF16 & _cpu_flags())


def _gpu() -> dict[str, str | None]:
    query = "--query-gpu=name,driver_version"
    line = (_output("nvidia-smi", query, "--format=csv,noheader") or "").partition("\n")[0]
    name, _, driver = (part.strip() or None for part in line.partition(", "))
    return {"gpu": name, "driver": driver, "cuda": _cuda() if name else None}


def _cuda() -> str | None:
    import torch

    number: str | None = torch.version.cuda
    return number


def _cpu_flags() -> frozenset[str]:
    return frozenset((_cpu_field("flags") or _cpu_field("Features") or "").split())


def _cpu_name() -> str | None:
    return _cpu_field("model name") or platform.processor() or platform.machine() or None


@cache
def _cpu_field(name: str) -> str | None:
    """What Linux says of the first core: `model name`, and `flags` (x86) or `Features` (Arm)."""
    if not CPUINFO.exists():
        return None
    fields = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    return next((value.strip() for key, _, value in fields if key.strip() == name), None)


def _ram_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _output(program: str, *arguments: str) -> str | None:
    """What a program prints, stripped; None where there is none, or it fails."""
    if not shutil.which(program):
        return None
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
