"""What a sweep of speed and memory measures."""

from typing import Annotated, Literal

from pydantic import Field

from nerbench.tasks.config.section import Precision, Section

Backend = Literal["eager", "compile", "int8", "onnx"]
Workload = Literal["inference", "training"]
Head = Literal["token", "none"]
Count = Annotated[int, Field(strict=True, ge=1, lt=2**31)]

LENGTHS = (8, 32, 128, 512)
"""Sequence lengths by default, as far as a model can read them."""


class SpeedGateConfig(Section):
    """When a benchmark fails because a model became slower: its undisturbed latency, beside the nights before."""

    slowdown: float = Field(default=10.0, ge=0)
    """Percent that it may grow."""
    nights: int = Field(default=28, ge=5, le=90)
    """Earlier nights on the same host, at the same calibrated rate, that it is compared with."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the limit that those nights set, one-sided; a night above it is measured once more."""


class SpeedConfig(Section):
    """What a sweep of speed and memory measures, and how long."""

    batch_sizes: tuple[Count, ...] = Field(default=(8,), min_length=1)
    """Sentences a batch."""
    sequence_lengths: tuple[Count | Literal["real"], ...] | None = Field(default=None, min_length=1)
    """Pieces a sentence; `real` are the sentences of the first data set, one by one and in batches. By default 8, 32,
    128, 512 and real, as far as a model has positions and a tokenizer."""
    workloads: tuple[Workload, ...] = Field(default=("inference",), min_length=1)
    """`inference` is a forward pass; `training` a forward and a backward pass and an optimizer step."""
    backends: tuple[Backend, ...] = Field(default=("eager",), min_length=1)
    """`eager`, `compile` (torch.compile), `int8` (dynamic quantization), `onnx` (ONNX Runtime)."""
    head: Head | None = None
    """What is on the encoder: `token`, the outputs of a token classifier; `none`, the encoder alone. By default
    `token`, and `none` for a checkpoint that is no token classifier."""
    precisions: tuple[Precision, ...] = Field(default=("fp32",), min_length=1)
    """Arithmetic; training in bf16 and fp16 is by autocast."""
    processes: int = Field(default=3, ge=1, le=100)
    """Processes that time each cell, one after another; intervals need two."""
    iterations: int = Field(default=10, ge=1)
    """Calls at least of each process in a cell, after the warm-up."""
    minimum_s: float = Field(default=1.0, ge=0)
    """Seconds at least of each process in a cell, after the warm-up."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds after which a process that is busy with one cell is ended, and the cell given up."""
    nightly: bool = False
    """Sweep after every benchmark that measures speed, too."""
    gate: SpeedGateConfig | None = None
    """Fail where a model became slower; nothing by default."""
