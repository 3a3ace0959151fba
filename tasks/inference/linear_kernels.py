"""The fastest kernel for each linear layer of a model on this processor, timed once and kept beside the predictions.

Kernels round differently. Therefore, `<results>/.cache/linear_kernels/<machine>.json` keeps the choices for a kind of
processor, its number of threads and a version of torch: all workers of this kind and all later runs compute the same
scores, until a run with `refresh`.
"""

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
from pydantic import ValidationError
from torch import nn

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, RunFailedError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.config import Section
from nerbench.tasks.environment import cpu_flags, cpu_name
from nerbench.tasks.inference.hardware import fuses_gelu, processor
from nerbench.tasks.inference.packed_linear import (
    FULL_ROWS,
    Kernel,
    LinearShape,
    PackedLinear,
    linear_layers,
)

log = logging.getLogger(__name__)

FOLDER = ".cache/linear_kernels"
SMALL = 1 << 16
"""Smaller layers, such as classifiers, keep the default kernel: they take too little time to matter."""
FASTER = 0.95
"""Another kernel replaces the default one if it takes at most this share of its time."""
SECONDS, ROUNDS = 0.1, 3
"""The timing of a layer ends after so many seconds, but not before so many rounds."""
_MAX_BYTES = 1 << 20
_TRIES = 5
"""Attempts to add choices to a file to which others add at the same time."""


class LinearKernels(Section):
    """The content of a file of choices."""

    machine: dict[str, str]
    kernels: dict[str, Kernel]
    """By `str(LinearShape)`."""


def default_kernel(shape: LinearShape) -> Kernel:
    """The kernel of a layer whose kernels were not timed."""
    return "onednn_gelu" if shape.gelu and fuses_gelu() else "onednn"


def kernels_for(model: nn.Module, results: str) -> dict[LinearShape, Kernel]:
    """The kernels of a model's large linear layers: the stored ones, or else the fastest ones, which are stored.

    If several workers time a layer at once, the first stored choice counts for all. Empty if torch has no
    oneDNN, or if all layers are small.
    """
    layers = {shape: layer for shape, layer in linear_layers(model).items() if shape.inputs * shape.outputs >= SMALL}
    if not layers or not torch.backends.mkldnn.is_available():
        return {}
    root, machine = open_root(results), _machine()
    path = f"{FOLDER}/{sha256_hex(canonical_json(machine))}.json"
    timed: dict[str, Kernel] = {}
    for _ in range(_TRIES):
        data, stored = _read(root, path)
        if all(str(shape) in stored for shape in layers):
            return {shape: stored[str(shape)] for shape in layers}
        for shape, layer in layers.items():
            if str(shape) not in {**stored, **timed}:
                timed[str(shape)] = fastest(shape, layer)
        found = LinearKernels(machine=machine, kernels=timed | stored)
        root.swap(path, canonical_json(found.model_dump(mode="json")), data)
    raise RunFailedError(f"{root.uri(path)} was changed by others {_TRIES} times in a row; run again")


def forget_kernels(results: str) -> None:
    """Remove the choices for all machines, so that the next inference times the kernels again."""
    root = open_root(results)
    for path in root.files(FOLDER):
        root.delete(path)


def fastest(shape: LinearShape, layer: nn.Linear) -> Kernel:
    """The fastest kernel of a layer; the default one unless another is clearly faster."""
    seconds = _time_in_turn(_calls(shape, layer))
    default, best = default_kernel(shape), min(seconds, key=seconds.__getitem__)
    chosen = default if default in seconds and seconds[best] > FASTER * seconds[default] else best
    measured = ", ".join(f"{kernel} {1e3 * of_kernel:.2f} ms" for kernel, of_kernel in seconds.items())
    log.info("linear layers of %s use %s (%s)", shape, chosen, measured)
    return chosen


def _calls(shape: LinearShape, layer: nn.Linear) -> dict[Kernel, Callable[[], object]]:
    """A call of each kernel that this processor has, with the GELU that follows."""
    rows = torch.linspace(-1, 1, 4 * FULL_ROWS * shape.inputs).view(-1, shape.inputs)
    gelu = [nn.GELU()] if shape.gelu else []
    makers: dict[Kernel, Callable[[], nn.Module]] = {
        "torch": lambda: nn.Sequential(layer, *gelu),
        "onednn": lambda: nn.Sequential(PackedLinear(layer), *gelu),
    }
    if shape.gelu:
        makers["onednn_gelu"] = lambda: PackedLinear(layer, gelu=True)
    calls: dict[Kernel, Callable[[], object]] = {}
    for kernel, make in makers.items():
        try:
            call = torch.inference_mode()(partial(make(), rows))
            call()
        except RuntimeError as error:
            log.info("%s is left out for linear layers of %s: %s", kernel, shape, error)
        else:
            calls[kernel] = call
    return calls


def _time_in_turn(calls: Mapping[Kernel, Callable[[], object]]) -> dict[Kernel, float]:
    """Seconds of the shortest call of each kernel."""
    seconds = dict.fromkeys(calls, float("inf"))
    ends, rounds = time.perf_counter() + SECONDS, 0
    while rounds < ROUNDS or time.perf_counter() < ends:
        rounds += 1
        for kernel, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[kernel] = min(seconds[kernel], time.perf_counter() - started)
    return seconds


def _machine() -> dict[str, str]:
    """What the choices depend on."""
    capability, threads = processor()
    return {
        "cpu": cpu_name() or "",
        "cpu_flags": " ".join(sorted(cpu_flags())),
        "capability": capability,
        "threads": str(threads),
        "torch": torch.__version__,
    }


def _read(root: Root, path: str) -> tuple[bytes | None, dict[str, Kernel]]:
    """The bytes of a file of choices and its choices; none if it is missing. Removes a damaged one."""
    try:
        data = root.read_record(path, _MAX_BYTES)
        return data, LinearKernels.model_validate_json(data).kernels
    except FileNotFoundError:
        return None, {}
    except (ValidationError, CorruptArtifactError):
        log.warning("%s is damaged; the kernels of linear layers are timed again", root.uri(path))
        root.delete(path)
        return None, {}
