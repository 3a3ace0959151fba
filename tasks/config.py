"""The configuration: one frozen model behind the YAML file, the flags and Prefect's form.

`tasks.configfile` reads it from YAML and turns validation errors into single lines.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Split = Literal["train", "validation", "test"]
Precision = Literal["fp32", "bf16", "fp16"]


class Section(BaseModel):
    """A part of the configuration: immutable, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DatasetConfig(Section):
    """A corpus: named splits of sentences of words with one tag a word."""

    name: Name
    """The name it is known by in tables."""
    format: Literal["conll", "hub"] = "conll"
    """`conll`: text files with one word a line. `hub`: a data set of the Hugging Face Hub, or a folder in its layout."""
    files: dict[Split, str] = Field(default_factory=dict)
    """conll: one file (path or fsspec URL) a split."""
    path: str | None = None
    """hub: the data set's id, or a local folder."""
    config: str | None = None
    """hub: the configuration of a data set that has several."""
    revision: str | None = None
    """hub: branch, tag or commit."""
    columns: dict[Literal["words", "tags"], int | str] = Field(default_factory=dict)
    """Where words and tags stand. conll: 0-based positions, negative from the end (default 0 and -1), or names of a
    `# global.columns =` header. hub: column names (default `tokens` and `ner_tags`)."""
    delimiter: Literal["auto", "tab", "space"] = "auto"
    """conll: what separates columns; `auto` is any white space."""
    encoding: str = "utf-8"
    """conll: the files' text encoding."""
    scheme: Literal["auto", "iob1", "iob2"] = "auto"
    """The tag scheme; `auto` recognises it over all splits together."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Entity types of the corpus renamed, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the corpus that are read as `O`."""

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.format == "conll" and not self.files:
            raise ValueError("a conll data set needs `files`, e.g. {test: data/test.txt}")
        if self.format == "hub" and not self.path:
            raise ValueError("a hub data set needs `path`, e.g. ZihanWangKi/conllpp")
        return self


class GoldConfig(Section):
    """A further annotation of the words of a data set's benchmark split."""

    name: Name
    """The name it is known by in the `gold` column."""
    dataset: Name
    """The data set whose words it annotates."""
    file: str
    """A file in that data set's format and columns."""


class ModelConfig(Section):
    """A model to fine-tune and publish under `name`."""

    name: Name
    """The name it is published under."""
    dataset: Name | None = None
    """The data set it is trained on; the first one by default."""
    base: str | dict[str, Any]
    """A folder, a Hub id, or a configuration (`{model_type: bert, …}`), whose tokenizer is then trained on the train split."""
    revision: str | None = None
    """Branch, tag or commit of a Hub base."""
    config_overrides: dict[str, Any] = Field(default_factory=dict)
    """Changes to the base's configuration, e.g. `{num_hidden_layers: 3}`."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the train split."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak of the linear schedule."""
    batch_tokens: int = Field(default=1024, ge=8)
    """Pieces a batch, padding included."""
    warmup: float = Field(default=0.06, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decay."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of training; `auto` is bf16 where the hardware has it."""
    window: int | None = Field(default=None, ge=8)
    """Pieces a window, special tokens included; the model's own by default."""
    vocabulary: int = Field(default=4096, ge=100)
    """Size of a tokenizer that is trained (only when `base` is a configuration)."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of initialisation, order and dropout."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Stop after so many epochs without a better validation F1; never by default."""
    time_limit_s: float | None = Field(default=None, gt=0)
    """Stop after so many seconds, and keep the best so far; never by default."""
    checkpoint_s: float = Field(default=300.0, gt=0)
    """Seconds between checkpoints within an epoch; each epoch ends with one too."""


class BenchmarkConfig(Section):
    """What is measured, on which words, and how."""

    models: tuple[str, ...] = ("*@latest",)
    """References: `name`, `name@alias`, `name@sha256:…`, `*@latest`, a folder, an fsspec URL."""
    split: Split = "test"
    """The split of every data set that is scored."""
    labels: Literal["all"] | tuple[str, ...] = "all"
    """Entity types to write rows for, beside `overall`."""
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
    speed: bool = True
    """Also measure latency, load time and memory."""
    text: Literal["keep", "drop"] = "keep"
    """Whether tables may hold the corpus's words."""
    refresh: bool = False
    """Infer again even where predictions are cached."""


class Config(Section):
    """Everything one run needs."""

    store: str = "./var/artifacts"
    """Where models are published: a folder or any fsspec URL."""
    results: str = "./var/results"
    """Where result tables and cached predictions go: a folder or any fsspec URL."""
    datasets: tuple[DatasetConfig, ...] = ()
    """The corpora; `dataset:` with one mapping is accepted too."""
    golds: tuple[GoldConfig, ...] = ()
    """Further annotations of the same words."""
    models: tuple[ModelConfig, ...] = ()
    """The models to train."""
    benchmark: BenchmarkConfig = BenchmarkConfig()
    """What the benchmark measures."""

    def dataset_of(self, model: ModelConfig) -> DatasetConfig:
        """The data set that a model is trained on."""
        return next(d for d in self.datasets if model.dataset in (None, d.name))

    @model_validator(mode="before")
    @classmethod
    def _single_dataset(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dataset" in data and "datasets" not in data:
            data = dict(data)
            data["datasets"] = [data.pop("dataset")]
        return data

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        for field, names in (
            ("datasets", [d.name for d in self.datasets]),
            ("models", [m.name for m in self.models]),
            ("golds", [*(g.name for g in self.golds), *(d.name for d in self.datasets)]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{field}: the name {twice[0]} is used twice")
        known = {d.name for d in self.datasets}
        for model in self.models:
            if model.dataset and model.dataset not in known:
                raise ValueError(f"models: {model.name} trains on {model.dataset}, which is not one of {sorted(known)}")
        for gold in self.golds:
            if gold.dataset not in known:
                raise ValueError(f"golds: {gold.name} annotates {gold.dataset}, which is not one of {sorted(known)}")
        return self
