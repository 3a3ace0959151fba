"""What is measured, on which words, and how."""

from typing import Literal

from pydantic import Field, field_validator

from nerbench.tasks.config.section import DEFAULT_MODES, Mode, Precision, Section, Split


class BenchmarkConfig(Section):
    """What is measured, on which words, and how."""

    models: tuple[str, ...] = ("*@latest",)
    """References: `name`, `name@alias`, `name@sha256:…`, `*@latest`, a folder, an fsspec URL."""
    split: Split = "test"
    """The split of every data set that is scored."""
    labels: Literal["all"] | tuple[str, ...] = "all"
    """Entity types to write rows for, beside `overall`."""
    modes: tuple[Mode, ...] = DEFAULT_MODES
    """How entities are matched, `strict` among them. `discard` and `span` repeat numbers of `strict` and `exact`."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    precision: Precision = "fp32"
    """Arithmetic of the inference."""
    window: int | None = Field(default=None, ge=8)
    """Pieces a window, special tokens included; the model's own by default."""
    vote: Literal["first", "max", "mean"] = "first"
    """Which pieces decide a word's tag: its first, its most confident, or their mean."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Entity types of the models renamed to the corpus's, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the models that are read as `O`."""
    labels_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By model name, the tags of its outputs in order, for a model that knows them as `LABEL_0`, `LABEL_1`, … only."""
    canary: float = Field(default=0.0, ge=0, le=1)
    """Share of a cached model's sentences, in whole blocks of 2,048, that is inferred again and compared."""
    frozen: bool = True
    """Fail where an unchanged model says something else than in an earlier run with the same settings."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the intervals of the scores."""
    tags: tuple[str, ...] = ()
    """Only metrics that have one of these tags; all by default."""
    speed: bool = True
    """Also measure latency, load time and memory."""
    report: bool = True
    """Also write a page about the run, `<results>/reports/<run>.html`."""
    shards: int = Field(default=1, ge=1)
    """Parts that a corpus is cut into, of whole blocks of 2,048 sentences; each is inferred and cached on its own."""
    text: Literal["keep", "drop"] = "keep"
    """Whether tables may hold the corpus's words."""
    refresh: bool = False
    """Infer again even where predictions are cached."""

    @field_validator("modes")
    @classmethod
    def _has_the_headline(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if "strict" not in modes:
            raise ValueError("strict is missing, by which reports and gates judge; add it")
        return modes
