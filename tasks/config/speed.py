"""Settings of the speed and memory sweep."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from nerbench.tasks.config.section import Dtype, Section, with_new_name

Backend = Literal["eager", "compile", "int8", "onnx"]
Workload = Literal["inference", "training"]
Head = Literal["token", "none"]
Count = Annotated[int, Field(strict=True, ge=1, lt=2**31)]

LENGTHS = (8, 32, 128, 512)
"""Default sequence lengths; those beyond a model's maximum are left out."""


class SpeedGateConfig(Section):
    """When a benchmark fails because a model is slower than in earlier runs. The gate compares `min_latency_s`."""

    slowdown: float = Field(default=10.0, ge=0)
    """Largest acceptable increase in latency, in percent."""
    nights: int = Field(default=28, ge=5, le=90)
    """Number of earlier nightly runs to compare with, on the same host at the same calibrated rate."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence level of the limit from those runs. A latency above the limit is measured once more."""


class SpeedConfig(Section):
    """What the speed and memory sweep measures, and for how long."""

    batch_sizes: tuple[Count, ...] = Field(default=(8,), min_length=1)
    """Batch sizes, in sentences."""
    sequence_lengths: tuple[Count | Literal["real"], ...] | None = Field(default=None, min_length=1)
    """Sequence lengths in sub-word tokens. `real` uses the sentences of the first data set, one by one and in batches.
    Default: 8, 32, 128, 512 and real, as far as the model has enough positions and a tokenizer."""
    workloads: tuple[Workload, ...] = Field(default=("inference",), min_length=1)
    """`inference` times a forward pass; `training` a forward pass, a backward pass and an optimizer step."""
    backends: tuple[Backend, ...] = Field(default=("eager",), min_length=1)
    """`eager`, `compile` (torch.compile), `int8` (dynamic quantization), `onnx` (ONNX Runtime)."""
    head: Head | None = None
    """What is on the encoder: `token`, the outputs of a token classifier; `none`, the encoder alone. By default
    `token`, and `none` for a checkpoint that is no token classifier."""
    dtypes: tuple[Dtype, ...] = Field(default=("fp32",), min_length=1)
    """Floating-point types. Training in bf16 and fp16 uses autocast. Deprecated name: `precisions`."""
    processes: int = Field(default=3, ge=1, le=100)
    """Number of processes that time each cell, one after another. Intervals need at least two."""
    multi_process: bool = True
    """Measure in separate processes. `false` measures once in the process of the command, for debugging: breakpoints
    and tracebacks work, `processes` and `timeout_s` have no effect, and the column `single_process` marks the rows."""
    iterations: int = Field(default=10, ge=1)
    """Minimum number of calls per process and cell, after the warm-up."""
    minimum_s: float = Field(default=1.0, ge=0)
    """Minimum seconds per process and cell, after the warm-up."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds after which a process that is busy with one cell is stopped and the cell is abandoned."""
    nightly: bool = False
    """Also run the sweep after every benchmark that measures speed."""
    gate: SpeedGateConfig | None = None
    """Fail the benchmark if a model is slower than before. Default: no gate."""

    @property
    def rounds(self) -> int:
        """How often each cell is timed."""
        return self.processes if self.multi_process else 1

    @model_validator(mode="before")
    @classmethod
    def _precisions_are_dtypes(cls, data: Any) -> Any:
        return with_new_name(data, "speed", "dtypes")
