"""Which models are trained, and how."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from nerbench.artifacts.storage.hub import SCHEME, parse
from nerbench.tasks.config.section import Name, Section, Text

_NAMES_CODE = ("_", "auto_map", "quantization_config", "custom_pipelines")
"""How settings begin by which transformers loads code or packages, or which are its own notes."""


def code_setting(settings: Mapping[str, Any]) -> str | None:
    """The first setting of a model's configuration, at any depth, by which transformers would load code; or None."""
    for key, value in settings.items():
        if key.startswith(_NAMES_CODE) or key.endswith("_implementation"):
            return key
        if isinstance(value, Mapping) and (found := code_setting(value)):
            return found
    return None


class ModelConfig(Section):
    """A model to fine-tune and publish under `name`."""

    name: Name
    """The name it is published under."""
    dataset: Name | None = None
    """The data set it is trained on; the first one by default."""
    base: Text | dict[str, Any]
    """A folder, a Hub id (also as `hf://org/model@revision`), or a configuration (`{model_type: bert, …}`), whose
    tokenizer is then trained too."""
    revision: str | None = None
    """Branch, tag or commit of a Hub base."""
    config_overrides: dict[str, Any] = Field(default_factory=dict)
    """Changes to the base's configuration, e.g. `{num_hidden_layers: 3}`."""
    epochs: float = Field(default=3.0, gt=0)
    """Passes over the train split."""
    learning_rate: float = Field(default=5e-5, gt=0)
    """Peak of the linear schedule."""
    batch_tokens: int = Field(default=1024, ge=8)
    """Pieces a batch, padding included, on however many processes: each takes its part of every batch."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Batches a step: one of the optimizer learns from `batch_tokens` × `gradient_accumulation` pieces."""
    processes: int = Field(default=1, ge=1)
    """Processes that train it together, each on a GPU of its own or on its share of the cores; the steps are those of
    one process."""
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
    """Stop after so many seconds of training, those before an interruption included, and keep the best so far; never by
    default."""
    checkpoint_s: float = Field(default=300.0, gt=0)
    """Seconds between checkpoints within an epoch; each epoch ends with one too."""
    training_args: dict[str, Any] = Field(default_factory=dict)
    """Further fields of transformers' TrainingArguments, e.g. `{lr_scheduler_type: cosine, max_grad_norm: 0.5}`."""
    callbacks: tuple[Text, ...] = ()
    """TrainerCallback classes of your own, each `file.py:Class` or `package.module:Class`."""
    compute_metrics: Literal["scorer", "evaluate"] = "scorer"
    """What scores the validation split: the scorer itself, or the `evaluate` metric over it, with equal numbers."""
    push_to_hub: bool = False
    """Publish it with its card on the Hugging Face Hub, once it is stored; a repository that is made is private.
    `training_args: {push_to_hub: true}` is for pushing checkpoints while it trains."""
    hub_model_id: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    """Where on the Hub: `organization/name`, or that of a user; each of several `seeds` adds `-seed0` and so on."""

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
            raise ValueError("hub_model_id says nothing without push_to_hub; add `push_to_hub: true`")
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

    @property
    def each_seed(self) -> "tuple[ModelConfig, ...]":
        """This model, or one for each of its `seeds`."""
        if not self.seeds:
            return (self,)
        return tuple(self._of_seed(seed) for seed in self.seeds)

    def _of_seed(self, seed: int) -> "ModelConfig":
        hub = f"{self.hub_model_id}-seed{seed}" if self.hub_model_id else None
        named = {"name": f"{self.name}-seed{seed}", "hub_model_id": hub}
        return self.model_copy(update=named | {"seed": seed, "seeds": ()})
