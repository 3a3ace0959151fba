"""Models to train, and their training settings."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from nerbench.artifacts.hub_models import SCHEME, parse
from nerbench.tasks.config.deprecated_keys import with_current_names
from nerbench.tasks.config.schema_base import Name, Section, Text

_NAMES_CODE = ("_", "auto_map", "quantization_config", "custom_pipelines")
"""Prefixes of settings that make transformers load code or packages, or that it reserves."""


def code_setting(settings: Mapping[str, Any]) -> str | None:
    """The first setting of a model configuration, at any depth, that would make transformers load code, or None."""
    for key, value in settings.items():
        if key.startswith(_NAMES_CODE) or key.endswith("_implementation"):
            return key
        if isinstance(value, Mapping) and (found := code_setting(value)):
            return found
    return None


class ModelConfig(Section):
    """A model to fine-tune and publish as `name`."""

    name: Name
    """The name of the published model."""
    dataset: Name | None = None
    """The data set to train on; by default, the first one."""
    base: Text | dict[str, Any]
    """The model to fine-tune: a folder, a Hub id (also `hf://org/model@revision`), or a model configuration
    (`{model_type: bert, …}`). For a configuration, a tokenizer is trained as well."""
    revision: str | None = None
    """Branch, tag or commit of a base on the Hub."""
    config_overrides: dict[str, Any] = Field(default_factory=dict)
    """Changes to the model configuration of the base, e.g. `{num_hidden_layers: 3}`."""
    epochs: float = Field(default=3.0, gt=0)
    """Number of passes over the train split."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak learning rate of the linear schedule."""
    batch_tokens: int = Field(default=1024, ge=8)
    """Sub-word tokens per batch, including padding. With several processes, each gets a part of every batch."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches per optimizer step: one step sees `batch_tokens` × `gradient_accumulation` tokens."""
    processes: int = Field(default=1, ge=1)
    """Processes that train the model together, each on its own GPU or its share of the cores. The optimizer steps
    are the same as with one process."""
    warmup: float = Field(default=0.06, ge=0, lt=1)
    """Share of the steps during which the learning rate rises."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Weight decay of AdamW."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Floating-point type for training; `auto` is bf16 if the hardware supports it."""
    max_length: int | None = Field(default=None, ge=8)
    """Length of the context window in sub-word tokens, including special tokens; by default, the model's maximum.
    Deprecated name: `window`."""
    vocabulary: int = Field(default=4096, ge=100)
    """Vocabulary size of a trained tokenizer; only used if `base` is a model configuration."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Random seed of initialisation, batch order and dropout."""
    train_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the train split to learn from: whole documents if it has any, otherwise sentences. `seed` chooses them,
    and a larger share contains the smaller ones."""
    seeds: tuple[int, ...] = ()
    """Train one model per seed: `name-seed0`, `name-seed1`, …; scores also get a mean and a standard deviation."""
    device: str = "auto"
    """The device for training: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Stop after this many epochs without a better validation F1. Default: no early stopping."""
    time_limit_s: float | None = Field(default=None, gt=0)
    """Stop after this many seconds of training and keep the best epoch so far. Time before an interruption counts.
    Default: no limit."""
    checkpoint_s: float = Field(default=300.0, gt=0)
    """Seconds between checkpoints within an epoch; each epoch also ends with a checkpoint."""
    training_args: dict[str, Any] = Field(default_factory=dict)
    """Other fields of transformers' TrainingArguments, e.g. `{lr_scheduler_type: cosine, max_grad_norm: 0.5}`."""
    callbacks: tuple[Text, ...] = ()
    """Custom TrainerCallback classes, each `file.py:Class` or `package.module:Class`."""
    compute_metrics: Literal["scorer", "evaluate"] = "scorer"
    """What scores the validation split: nerbench's scorer, or its `evaluate` metric; both give the same numbers."""
    push_to_hub: bool = False
    """Publish the model with its card on the Hugging Face Hub after it is stored; a new repository is private. To push
    checkpoints during training, use `training_args: {push_to_hub: true}`."""
    hub_model_id: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """The repository on the Hub, `organization/name` or `user/name`; with `seeds`, `-seed0` and so on are added."""

    @model_validator(mode="before")
    @classmethod
    def _has_current_names(cls, data: Any) -> Any:
        return with_current_names(data, "models", "max_length")

    @model_validator(mode="before")
    @classmethod
    def _base_may_be_a_location(cls, data: Any) -> Any:
        base = data.get("base") if isinstance(data, dict) else None
        if not (isinstance(base, str) and base.startswith(SCHEME)):
            return data
        model, revision = parse(base)
        given = data.get("revision")
        if revision and given not in (None, revision):
            raise ValueError(f"base names the revision {revision}, and revision {given}; give one of them")
        return data | {"base": model, "revision": revision or given}

    @model_validator(mode="after")
    def _a_push_has_a_place(self) -> "ModelConfig":
        if self.push_to_hub and not self.hub_model_id:
            raise ValueError("push_to_hub needs a place on the Hub; add hub_model_id, e.g. acme/tagger")
        if self.hub_model_id and not self.push_to_hub:
            raise ValueError("hub_model_id has no effect without push_to_hub; add `push_to_hub: true`")
        return self

    @model_validator(mode="after")
    def _processes_have_devices_of_their_own(self) -> "ModelConfig":
        if self.processes > 1 and (self.device == "mps" or ":" in self.device):
            raise ValueError(
                f"{self.processes} processes need as many devices, and device is {self.device}; give cuda or cpu"
            )
        return self

    @field_validator("base", "config_overrides")
    @classmethod
    def _configuration_loads_no_code(cls, given: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(given, dict) and (key := code_setting(given)):
            raise ValueError(f"{key} could load code, which no configuration may; leave it out")
        return given

    @field_validator("base")
    @classmethod
    def _configuration_has_a_type(cls, base: str | dict[str, Any]) -> str | dict[str, Any]:
        if isinstance(base, dict) and not isinstance(base.get("model_type"), str):
            raise ValueError("has no model_type; add one, e.g. `model_type: bert`")
        return base

    def as_recorded(self) -> dict[str, Any]:
        """The plain data that identifies a training; manifests record it. There, `max_length` is called `window`."""
        data = self.model_dump(mode="json", exclude={"train_share"} if self.train_share == 1 else None)
        return data | {"window": data.pop("max_length")}

    @property
    def each_seed(self) -> "tuple[ModelConfig, ...]":
        """This model, or one model per seed of `seeds`."""
        if not self.seeds:
            return (self,)
        return tuple(self._of_seed(seed) for seed in self.seeds)

    def _of_seed(self, seed: int) -> "ModelConfig":
        hub = f"{self.hub_model_id}-seed{seed}" if self.hub_model_id else None
        named = {"name": f"{self.name}-seed{seed}", "hub_model_id": hub}
        return self.model_copy(update=named | {"seed": seed, "seeds": ()})
