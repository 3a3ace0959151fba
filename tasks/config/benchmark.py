"""What the benchmark measures, on which data, and how."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nerbench.tasks.config.section import DEFAULT_MODES, Dtype, Mode, Section, Split, with_new_name


class BenchmarkConfig(Section):
    """What the benchmark measures, on which data, and how."""

    models: tuple[str, ...] = ("*@latest",)
    """The models to benchmark: `name`, `name@alias`, `name@sha256:…`, `*@latest`, a folder or an fsspec URL."""
    split: Split = "test"
    """The split to score, for every data set."""
    labels: Literal["all"] | tuple[str, ...] = "all"
    """Entity types that get rows of their own, in addition to `overall`."""
    modes: tuple[Mode, ...] = DEFAULT_MODES
    """How entities are matched; must include `strict`. `discard` and `span` repeat numbers of `strict` and `exact`."""
    device: str = "auto"
    """The device for inference: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes that infer a corpus together, each on its own GPU or its share of the cores. `auto`: one per GPU if the
    corpus has 64 blocks of 2,048 sentences for each; otherwise one."""
    dtype: Dtype = "fp32"
    """Floating-point type for inference: `fp32`, `bf16` or `fp16`. Deprecated name: `precision`."""
    window: int | None = Field(default=None, ge=8)
    """Length of the context window in sub-word tokens, including special tokens; by default, the model's maximum."""
    vote: Literal["first", "max", "mean"] = "first"
    """Which sub-word tokens decide the tag of a word: the first, the most confident one, or the mean over all."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Renames entity types of the models to those of the corpus, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the models to treat as `O`."""
    labels_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The tags of a model's outputs in order, by model name; for models that only have `LABEL_0`, `LABEL_1`, …"""
    canary: float = Field(default=0.0, ge=0, le=1)
    """Share of a cached model's sentences to infer again and compare, in whole blocks of 2,048 sentences."""
    frozen: bool = True
    """Fail if the predictions of an unchanged model differ from those of an earlier run with the same settings."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the score intervals."""
    tags: tuple[str, ...] = ()
    """Compute only metrics that have one of these tags; by default, all metrics."""
    speed: bool = True
    """Also measure latency, load time and memory."""
    report: bool = True
    """Also write the report `<results>/reports/<run>.html`."""
    shards: int = Field(default=1, ge=1)
    """Number of parts of a corpus, in whole blocks of 2,048 sentences; each part is inferred and cached separately."""
    text: Literal["keep", "drop"] = "keep"
    """Whether result tables may contain the words of the corpus."""
    refresh: bool = False
    """Run inference again, even if predictions are cached."""

    @model_validator(mode="before")
    @classmethod
    def _precision_is_dtype(cls, data: Any) -> Any:
        return with_new_name(data, "benchmark", "dtype")

    @field_validator("modes")
    @classmethod
    def _has_the_headline(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if "strict" not in modes:
            raise ValueError("strict is missing, by which reports and gates judge; add it")
        return modes

    @model_validator(mode="after")
    def _processes_have_devices_of_their_own(self) -> Self:
        if self.processes not in {1, "auto"} and (self.device == "mps" or ":" in self.device):
            raise ValueError(
                f"{self.processes} processes need as many devices, and device is {self.device}; give cuda or cpu"
            )
        return self
