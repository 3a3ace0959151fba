"""The base class and common types of configuration sections."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema

from nerbench.tasks.config.deprecated_keys import OLD_NAMES
from nerbench.tasks.config.descriptions import field_descriptions

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Split = Literal["train", "validation", "test"]
SourceName = Split | Literal["all"]
Dtype = Literal["fp32", "bf16", "fp16"]
InferenceDtype = Literal[Dtype, "int8"]
InferenceBackend = Literal["torch", "onnxruntime", "openvino"]
Mode = Literal["strict", "conlleval", "discard", "exact", "partial", "type", "span"]
"""How entities are matched: see `nerbench.tasks.scoring.counts`."""
MODES: tuple[Mode, ...] = get_args(Mode)
EXACT_MODES: tuple[Mode, ...] = ("strict", "conlleval", "discard")
"""The modes in which only entities with the same words and type match; slices are scored in these."""
DEFAULT_MODES: tuple[Mode, ...] = ("strict", "conlleval", "exact", "partial", "type")
"""The modes that are scored by default; the others repeat their numbers."""


def field_name(at: Sequence[str | int]) -> str:
    """`models[0].epochs`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at).lstrip(".") or "configuration"


def _with_deprecated_keys(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Let Prefect pass on deprecated keys: it checks parameters against this schema before they are renamed."""
    if {*OLD_NAMES, "on_undecided"} & model.model_fields.keys():
        schema.pop("additionalProperties", None)


class Section(BaseModel):
    """A section of the configuration: immutable, without unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # the input may be a credential, and Prefect would store and show it
        json_schema_extra=_with_deprecated_keys,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema with the docstrings of the fields, for Prefect's form."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name, text in field_descriptions(cls).items():
            properties[name].setdefault("description", text)
        return schema

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation in (int, float, int | None, float | None):
            raise ValueError(f"{str(value).lower()} is not a number; give a number")
        return value
