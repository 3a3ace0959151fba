"""Checks whether this machine is fit for a run: one check per line, with the remedy."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from packaging.requirements import Requirement

from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.environment import cpu_has_bf16, installed

PINNED = ("prefect", "sqlalchemy", "torch", "transformers", "datasets", "pyarrow", "s3fs")
ENOUGH_DISK = 5 << 30


class Check(NamedTuple):
    """One line of the diagnosis."""

    name: str
    ok: bool
    detail: str
    remedy: str
    """Empty if nothing is wrong; with `ok`, a warning."""


def checks(store: str, results: str) -> Iterator[Check]:
    """Python, versions, device, threads, disk, store and results, in the order in which a run needs them."""
    enough = sys.version_info >= (3, 11)
    yield Check("python", enough, platform.python_version(), "" if enough else "install Python 3.11 or newer")
    yield from _versions()
    yield _device()
    yield _threads()
    for name, url in (("store", store), ("results", results)):
        yield _probe(name, url, aliases=name == "store")
        if "://" not in url:
            yield _disk(name, Path(url))


def _versions() -> Iterator[Check]:
    declared = map(Requirement, requires("nerbench") or ())
    wanted = {one.name.lower(): one for one in declared if one.marker is None}  # requirements of an extra have a marker
    for name in PINNED:
        found, requirement = installed(name), wanted[name]
        fits = found is not None and requirement.specifier.contains(found.partition("+")[0])
        remedy = "" if fits else f"pip install '{requirement}'"
        yield Check(name, fits, f"{found or 'missing'} (wanted {requirement.specifier})", remedy)


def _device() -> Check:
    import torch

    from nerbench.tasks.inference.loading import resolve_device

    device = resolve_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    return Check("device", True, f"{name}, bf16 {'native' if bf16 else 'not native'}", "")


def _threads() -> Check:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    # Threads that wait for one another spin: if there are more than free cores, work takes many times as long.
    fits = threads <= cores
    remedy = f"end other work, or set OMP_NUM_THREADS to at most {max(1, int(cores - load))}"
    detail = f"{threads} on {cores} cores, load {load:.1f}"
    return Check("threads", fits, detail, "" if fits and load < cores else remedy)


def _probe(name: str, url: str, *, aliases: bool = False) -> Check:
    """Create a file, be refused twice, read it back, and delete it: the operations that immutability depends on.

    With `aliases`, also try to replace a file that another writer has just changed, which must be refused.
    """
    path, data = f".probe-{uuid4().hex}", b"nerbench"
    try:
        root = open_root(url)
        root.create(path, data)
        refused = [_is_refused(root, path) for _ in range(2)]
        same = root.read(path) == data
        swaps = not aliases or root.refuses_outdated_swap(path)
        root.delete(path)
    except (NerbenchError, OSError) as error:
        remedy = "check the address, the credentials and the permissions"
        return Check(name, False, f"{url}: {' '.join(str(error).split())}", remedy)
    if not all(refused) or not same:
        problem = "is overwritten" if not all(refused) else "reads back otherwise"
        remedy = "choose a store that honours exclusive creation"
        return Check(name, False, f"{url}: an existing file {problem}", remedy)
    if not swaps:
        problem = "an alias that another writer has just moved is overwritten, because the store ignores If-Match"
        remedy = "choose a store that honours If-Match, or let only one process at a time move aliases"
        return Check(name, False, f"{url}: {problem}", remedy)
    promises = "exclusive creation, read-after-write and compare-and-swap"
    held = promises if aliases else "exclusive creation and read-after-write"
    return Check(name, True, f"{url}: {held} hold", "")


def _is_refused(root: Root, path: str) -> bool:
    try:
        root.create(path, b"another")
    except FileExistsError:
        return True
    return False


def _disk(name: str, folder: Path) -> Check:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    ok = free >= ENOUGH_DISK
    return Check(
        f"{name} disk", ok, f"{free / 1e9:.0f} GB free", "" if ok else f"free at least {ENOUGH_DISK / 1e9:.0f} GB"
    )
