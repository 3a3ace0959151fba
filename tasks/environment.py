"""The environment of a run: machine, versions and code, as recorded in the table `runs` and in manifests."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "transformers", "tokenizers", "prefect", "datasets", "accelerate", "safetensors", "pyarrow")
_REMOTE = re.compile(r"(https?|ssh|git)://|[\w.-]+@[\w.-]+:")
PROJECT = Path(__file__).resolve().parent.parent
CPUINFO = Path("/proc/cpuinfo")
CPUFREQ = Path("/sys/devices/system/cpu/cpu0/cpufreq")
CARD = ("name", "driver_version", "memory.total", "power.limit", "pstate")
"""Fields to request from an accelerator's driver; memory in MiB, power in watts."""
NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Processor flags (x86, Arm) for native bf16 arithmetic."""


def environment() -> dict[str, Any]:
    """Machine, versions and code as columns of the table `runs`; null if unknown."""
    gpu = _gpu()
    code = code_version()
    return {
        "code_commit": code["commit"],
        "code_dirty": code["dirty"],
        "host": platform.node(),
        "cpu": cpu_name(),
        "cpu_flags": " ".join(sorted(cpu_flags())) or None,
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "ram_bytes": _ram_bytes(),
        **gpu,
        "python": platform.python_version(),
        **{name: installed(name) for name in ("torch", "transformers", "tokenizers", "prefect")},
    }


def machine() -> dict[str, Any]:
    """Further circumstances of a measurement, as columns of `runs`; null if unknown."""
    import psutil

    clock = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    cards = _cards()
    card = cards[0] if cards else {}
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine() or None,
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "cpu_mhz": clock.current if clock else None,
        "cpu_mhz_min": (clock.min if clock else None) or None,  # 0 means unknown
        "cpu_mhz_max": (clock.max if clock else None) or None,
        "governor": _governor(),
        "gpus": len(cards),
        "gpu_memory_bytes": int(card["memory.total"]) << 20 if "memory.total" in card else None,
        "gpu_power_limit_w": float(card["power.limit"]) if "power.limit" in card else None,
        "gpu_performance_state": card.get("pstate"),
        "python_implementation": platform.python_implementation(),
        "onnxruntime": installed("onnxruntime") or installed("onnxruntime-gpu"),
        **code_origin(),
    }


def _governor() -> str | None:
    path = CPUFREQ / "scaling_governor"
    return path.read_text().strip() if path.exists() else None


def code_origin(folder: Path = PROJECT) -> dict[str, str | None]:
    """The URL that a checkout came from (without credentials) and its nearest tag; None if there is none."""
    if code_version(folder)["commit"] is None:
        return {"code_repository": None, "code_tag": None}
    remote = _output("git", "-C", str(folder), "remote", "get-url", "origin")
    return {
        "code_repository": re.sub(r"//[^/@]*@", "//", remote) if remote and _REMOTE.match(remote) else None,
        "code_tag": _output("git", "-C", str(folder), "describe", "--tags", "--abbrev=0") or None,
    }


def code_version(folder: Path = PROJECT) -> dict[str, Any]:
    """The `commit` of a checkout and whether it is `dirty`; None if the folder is not the top of a repository."""
    known = {"commit": None, "dirty": None}
    top = _output("git", "-C", str(folder), "rev-parse", "--show-toplevel")
    if top is None or Path(top) != folder.resolve():  # an unrelated checkout around the installation
        return known
    commit = _output("git", "-C", str(folder), "rev-parse", "--verify", "HEAD")
    status = _output("git", "--no-optional-locks", "-C", str(folder), "status", "--porcelain")
    return known if commit is None else {"commit": commit, "dirty": status != ""}


def library_versions() -> dict[str, str]:
    """Versions of Python and of what a prediction or a table depends on."""
    found = {name: installed(name) for name in LIBRARIES}
    return {"python": platform.python_version()} | {name: number for name, number in found.items() if number}


def is_importable(package: str) -> bool:
    """Whether a top-level package is installed, without importing it. A folder of its name without code does not count,
    for example `wandb`, in which Weights & Biases keeps its runs."""
    found = find_spec(package)
    return bool(found and found.origin)


def installed(package: str) -> str | None:
    """The installed version of a package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_has_bf16() -> bool:
    """Whether the processor computes bf16 natively."""
    return bool(NATIVE_BF16 & cpu_flags())


def _gpu() -> dict[str, str | None]:
    cards = _cards()
    if not cards:
        return {"gpu": None, "driver": None, "cuda": None}
    return {"gpu": cards[0].get("name"), "driver": cards[0].get("driver_version"), "cuda": _cuda()}


def _cards() -> list[dict[str, str]]:
    """The driver's values for each accelerator, by field of CARD; unknown values are left out."""
    listed = _output("nvidia-smi", f"--query-gpu={','.join(CARD)}", "--format=csv,noheader,nounits") or ""
    lines = [[part.strip() for part in line.split(",")] for line in listed.splitlines() if line]
    known = [zip(CARD, parts, strict=False) for parts in lines]
    return [{name: value for name, value in card if value and not value.startswith("[")} for card in known]


def _cuda() -> str | None:
    import torch

    number: str | None = torch.version.cuda
    return number


def cpu_flags() -> frozenset[str]:
    """The capabilities of the processor as Linux names them; empty if they are unknown."""
    return frozenset((_cpu_field("flags") or _cpu_field("Features") or "").split())


def cpu_name() -> str | None:
    """The model of the processor; None if it is unknown."""
    return _cpu_field("model name") or platform.processor() or platform.machine() or None


@cache
def _cpu_field(name: str) -> str | None:
    """A field of the first core on Linux: `model name`, and `flags` (x86) or `Features` (Arm)."""
    if not CPUINFO.exists():
        return None
    fields = (line.partition(":") for line in CPUINFO.read_text().splitlines())
    return next((value.strip() for key, _, value in fields if key.strip() == name), None)


def _ram_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _output(program: str, *arguments: str) -> str | None:
    """The stripped output of a program; None if there is none or it fails."""
    if not shutil.which(program):
        return None
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
