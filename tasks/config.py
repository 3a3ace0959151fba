"""The configuration: one frozen model behind the YAML file, the flags and Prefect's form.

`tasks.configuration.configfile` reads it from YAML and turns validation errors into single lines.
"""

import codecs
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Split = Literal["train", "validation", "test"]
Precision = Literal["fp32", "bf16", "fp16"]
Format = Literal["conll", "parquet", "json", "hub", "loader"]

FIELDS_OF: dict[Format, tuple[str, ...]] = {
    "conll": ("files", "columns", "delimiter", "encoding"),
    "parquet": ("files", "columns", "labels"),
    "json": ("files", "columns", "labels", "encoding"),
    "hub": ("path", "config", "revision", "columns", "labels"),
    "loader": ("loader", "options", "labels"),
}
"""What says how a data set of each format is read; the first is where it is, and is needed."""
_EXAMPLES = {"files": "{test: data/test.txt}", "path": "ZihanWangKi/conllpp", "loader": "my_corpus:load"}


class Section(BaseModel):
    """A part of the configuration: immutable, and without keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation in (int, float, int | None, float | None):
            raise ValueError(f"{str(value).lower()} is no number; give a number")
        return value


class DatasetConfig(Section):
    """A corpus: named splits of sentences of words with one tag a word."""

    name: Name
    """The name it is known by in tables."""
    format: Format = "conll"
    """`conll`: text files with one word a line. `parquet`, `json`: files with one sentence a row, or a line. `hub`: a
    data set of the Hugging Face Hub, or a folder in its layout. `loader`: a function of your own."""
    files: dict[Split, Text] = Field(default_factory=dict)
    """conll, parquet, json: one file (path or fsspec URL) a split."""
    path: Text | None = None
    """hub: the data set's id, or a local folder."""
    config: str | None = None
    """hub: the configuration of a data set that has several."""
    revision: str | None = None
    """hub: branch, tag or commit."""
    loader: Annotated[str, StringConstraints(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    """loader: `package.module:function`, called with a split's name; gives its sentences of words and tags."""
    options: dict[str, Any] = Field(default_factory=dict)
    """loader: further keyword arguments of the function."""
    columns: dict[Literal["words", "tags", "document"], int | str] = Field(default_factory=dict)
    """Where words and tags stand. conll: 0-based positions, negative from the end (default 0 and -1), or names of a
    `# global.columns =` header. parquet, json, hub: column names (default `tokens` or `words`, and `ner_tags` or
    `tags`), and optionally that of a `document`, whose sentences stand together."""
    delimiter: Literal["auto", "tab", "space"] = "auto"
    """conll: what separates columns; `auto` is any white space."""
    encoding: str = "utf-8"
    """conll, json: the files' text encoding."""
    labels: tuple[str, ...] = ()
    """parquet, json, hub, loader: what tags mean that are integers, e.g. `[O, B-PER, I-PER]`."""
    scheme: Literal["auto", "io", "iob1", "iob2", "bioes", "bilou"] = "auto"
    """The tag scheme; `auto` recognises it over all splits together, bare types (`io`) excepted."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Entity types of the corpus renamed, e.g. `{PERSON: PER}`."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the corpus that are read as `O`."""

    @field_validator("encoding")
    @classmethod
    def _encoding_is_known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f"{encoding} is no text encoding; give e.g. utf-8 or latin-1") from None
        return encoding

    @model_validator(mode="before")
    @classmethod
    def _loader_is_a_format(cls, data: Any) -> Any:
        is_loader = isinstance(data, dict) and data.get("loader") and "format" not in data
        return {**data, "format": "loader"} if is_loader else data

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        read = FIELDS_OF[self.format]
        if not getattr(self, read[0]):
            raise ValueError(f"a {self.format} data set needs `{read[0]}`, e.g. {_EXAMPLES[read[0]]}")
        for name in {field: None for fields in FIELDS_OF.values() for field in fields if field not in read}:
            if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                raise ValueError(f"`{name}` says nothing about a {self.format} data set, which has {', '.join(read)}")
        if self.format == "conll" and "document" in self.columns:
            raise ValueError("columns.document says nothing about a conll data set, whose -DOCSTART- lines do")
        return self


class GoldConfig(Section):
    """A further annotation of the words of a data set's benchmark split, with a tag scheme of its own."""

    name: Name
    """The name it is known by in the `gold` column."""
    dataset: Name
    """The data set whose words it annotates."""
    file: Text
    """Where it is: what `files`, `path` or `loader` are in a data set of its format."""
    format: Format | None = None
    """Its format; that of the data set, with the same columns, labels, encoding and options, where None."""
    columns: dict[Literal["words", "tags"], int | str] = Field(default_factory=dict)
    """Where its words and tags stand, if not where they do in the data set."""


class ModelConfig(Section):
    """A model to fine-tune and publish under `name`."""

    name: Name
    """The name it is published under."""
    dataset: Name | None = None
    """The data set it is trained on; the first one by default."""
    base: Text | dict[str, Any]
    """A folder, a Hub id, or a configuration (`{model_type: bert, …}`), whose tokenizer is then trained too."""
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
    seeds: tuple[int, ...] = ()
    """Train once for each of these instead: `name-seed0`, `name-seed1`, …; scores then get a mean and deviation too."""
    device: str = "auto"
    """Where it is trained: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Stop after so many epochs without a better validation F1; never by default."""
    time_limit_s: float | None = Field(default=None, gt=0)
    """Stop after so many seconds, and keep the best so far; never by default."""
    checkpoint_s: float = Field(default=300.0, gt=0)
    """Seconds between checkpoints within an epoch; each epoch ends with one too."""

    @field_validator("base")
    @classmethod
    def _configuration_has_a_type(cls, base: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(base, dict) and not isinstance(base.get("model_type"), str):
            raise ValueError("has no model_type; add one, e.g. `model_type: bert`")
        return base

    @property
    def each_seed(self) -> "tuple[ModelConfig, ...]":
        """This model, or one for each of its `seeds`."""
        if not self.seeds:
            return (self,)
        return tuple(
            self.model_copy(update={"name": f"{self.name}-seed{seed}", "seed": seed, "seeds": ()})
            for seed in self.seeds
        )


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
    labels_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By model name, the tags of its outputs in order, for a model that knows them as `LABEL_0`, `LABEL_1`, … only."""
    canary: float = Field(default=0.0, ge=0, le=1)
    """Share of a cached model's sentences, in whole blocks of 2,048, that is inferred again and compared."""
    speed: bool = True
    """Also measure latency, load time and memory."""
    text: Literal["keep", "drop"] = "keep"
    """Whether tables may hold the corpus's words."""
    refresh: bool = False
    """Infer again even where predictions are cached."""


class Config(Section):
    """Everything one run needs."""

    store: Text = "./var/artifacts"
    """Where models are published: a folder or any fsspec URL."""
    results: Text = "./var/results"
    """Where result tables and cached predictions go: a folder or any fsspec URL."""
    datasets: tuple[DatasetConfig, ...] = ()
    """The corpora; `dataset:` with one mapping is accepted too."""
    golds: tuple[GoldConfig, ...] = ()
    """Further annotations of the same words."""
    models: tuple[ModelConfig, ...] = ()
    """The models to train."""
    benchmark: BenchmarkConfig = BenchmarkConfig()
    """What the benchmark measures."""

    @property
    def trained_models(self) -> tuple[ModelConfig, ...]:
        """The models to train, one for each seed."""
        return tuple(one for model in self.models for one in model.each_seed)

    def dataset_of(self, model: ModelConfig) -> DatasetConfig:
        """The data set that a model is trained on."""
        return next(d for d in self.datasets if model.dataset in (None, d.name))

    @model_validator(mode="before")
    @classmethod
    def _single_dataset(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dataset" in data:
            if "datasets" in data:
                raise ValueError("dataset: stands beside datasets; put it into that list")
            data = dict(data)
            data["datasets"] = [data.pop("dataset")]
        return data

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        for field, names in (
            ("datasets", [d.name for d in self.datasets]),
            ("models", [m.name for m in self.trained_models] + [m.name for m in self.models if m.seeds]),
            ("golds", [*(g.name for g in self.golds), *(d.name for d in self.datasets)]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{field}: the name {twice[0]} is used twice; rename one")
        known = sorted(d.name for d in self.datasets)
        remedy = f"name one of {', '.join(known)}" if known else "add that data set"
        for model in self.models:
            if model.dataset and model.dataset not in known:
                raise ValueError(f"models: {model.name} trains on {model.dataset}; {remedy}")
        for gold in self.golds:
            if gold.dataset not in known:
                raise ValueError(f"golds: {gold.name} annotates {gold.dataset}; {remedy}")
        return self
