"""The cells of a sweep, and which of them cannot be measured here."""

from collections.abc import Sequence
from typing import NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import SpeedConfig
from nerbench.tasks.config.schema_run import LENGTHS, Head
from nerbench.tasks.inference.backends import PROVIDERS, missing_packages
from nerbench.tasks.measuring.subjects import Subject

REAL = "real"
REFERENCE = ("eager", "fp32")
"""The reference for predictions."""
OUT_OF_MEMORY = "out of memory"
"""The status of a cell that needs more memory than available."""
_LACKING = ("out of memory", "can't allocate memory", "not enough memory", "memoryerror", "bad_alloc")
LONGEST_STATUS = 200


class Cell(NamedTuple):
    """One measurement."""

    batch_size: int
    sequence_length: int | None
    """None for real lengths."""


class Group(NamedTuple):
    """Cells that share a process for timing: one model, computed in one way."""

    subject: Subject
    backend: str
    precision: str
    workload: str
    head: Head
    cells: tuple[Cell, ...]
    unavailable: str | None
    """Why none of the cells can be measured here."""


def plan(subjects: Sequence[Subject], speed: SpeedConfig, *, device: str, corpus: bool) -> list[Group]:
    """All groups of a sweep on a kind of device (`cpu`, `cuda`, `mps`).

    `corpus`: whether there are sentences for real lengths. Raises InputError if a sequence length exceeds a model's
    positions, a model lacks the configured head, or nothing is left to measure.
    """
    groups = [
        Group(
            subject=subject,
            backend=backend,
            precision=precision,
            workload=workload,
            head=head_of(subject, speed),
            cells=cells,
            unavailable=why_unavailable(backend, precision, workload, device),
        )
        for subject in subjects
        for workload in dict.fromkeys(speed.workloads)
        if (cells := _cells(subject, speed, workload, corpus and tags_words(subject, speed)))
        for backend in dict.fromkeys(speed.backends)
        for precision in dict.fromkeys(speed.dtypes)
    ]
    if not groups:
        problem = "real lengths need a data set, and a token classifier with a tokenizer"
        raise InputError("speed.sequence_lengths", problem, "give numbers, or name a stored model and a data set")
    return groups


def head_of(subject: Subject, speed: SpeedConfig) -> Head:
    """The head that a model is measured with. Raises InputError if it has no such head."""
    if speed.head == "token" and subject.headless:
        problem = f"{subject.name} is not a token classifier"
        raise InputError("speed.head", problem, "give none, or leave it out to measure each model as it is")
    return speed.head or ("none" if subject.headless else "token")


def tags_words(subject: Subject, speed: SpeedConfig) -> bool:
    """Whether a model is measured at real lengths, too: it has a tokenizer, and a head that predicts tags."""
    return subject.artifact is not None and head_of(subject, speed) == "token"


def _cells(subject: Subject, speed: SpeedConfig, workload: str, real: bool) -> tuple[Cell, ...]:
    wanted = speed.sequence_lengths
    lengths = [n for n in LENGTHS if n <= subject.positions] if wanted is None else [n for n in wanted if n != REAL]
    if too_long := [length for length in lengths if int(length) > subject.positions]:
        problem = f"{too_long[0]} tokens are more than the {subject.positions} that {subject.name} can read"
        raise InputError("speed.sequence_lengths", problem, f"give at most {subject.positions}")
    cells = [Cell(size, int(length)) for size in speed.batch_sizes for length in lengths]
    if real and (wanted is None or REAL in wanted):
        singly = (1,) if workload == "inference" else ()
        cells += [Cell(size, None) for size in (*singly, *speed.batch_sizes)]
    return tuple(dict.fromkeys(cells))


def why_unavailable(backend: str, precision: str, workload: str, device: str) -> str | None:
    """Why a backend cannot run here; None if it can."""
    if precision == "fp16" and device == "cpu":
        return "fp16 is not computed on a CPU"
    if backend in {"int8", "onnx"}:
        if workload == "training":
            return f"{backend} does not train"
        if precision != "fp32":
            return f"{backend} starts from fp32"
    if backend == "int8" and device != "cpu":
        return "PyTorch quantizes dynamically on a CPU only"
    return _why_no_onnx(device) if backend == "onnx" else None


def _why_no_onnx(device: str) -> str | None:
    if missing := missing_packages("onnxruntime"):
        return f"{', '.join(missing)} not installed; pip install 'nerbench[onnx]'"
    provider = PROVIDERS.get(device)
    from onnxruntime import get_available_providers

    if provider not in get_available_providers():
        remedy = "; pip uninstall onnxruntime && pip install onnxruntime-gpu" if device == "cuda" else ""
        return f"ONNX Runtime does not compute on {device} here{remedy}"
    return None


def failure(text: str) -> str:
    """The status of a cell after an error; only some of PyTorch's classes of errors indicate missing memory."""
    text = " ".join(text.split())
    if any(part in text.lower() for part in _LACKING):
        return OUT_OF_MEMORY
    status = f"failed: {text}"
    return status if len(status) <= LONGEST_STATUS else f"{status[: LONGEST_STATUS - 2]} …"
