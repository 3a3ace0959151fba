"""The base class and common types of configuration sections, and the rejection of credentials in them.

Run parameters, tables and pages show the configuration in plain text.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from nerbench.artifacts.secrets import is_secret_name, url_credential

log = logging.getLogger(__name__)
_KEYS_OF_DATA = frozenset("column field foreign group join label primary sort tag text word".split())
"""Words before `_key` that mark a harmless option, as in `sort_key`."""


def field_name(at: Sequence[str | int]) -> str:
    """`models[0].epochs`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at).lstrip(".") or "configuration"


def find_credential(data: Any) -> str | None:
    """`field: problem; remedy` for the first credential in a configuration (plain data), or None."""
    for at, text in _texts(data, ()):
        if kind := url_credential(text):
            mlflow = " (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)" if at == ("tracking_uri",) else ""
            remedy = f"leave credentials to the environment{mlflow}"
            return f"{field_name(at)}: is a URL with a credential ({kind}), which tables and pages would show; {remedy}"
        if "options" in at and "${" not in text and any(_is_secret_option(str(key)) for key in at):
            remedy = "write ${NAME} and export NAME=…"
            return f"{field_name(at)}: holds a credential, which tables and pages would show; {remedy}"
    return None


def _is_secret_option(name: str) -> bool:
    before, _, last = name.lower().replace("-", "_").rpartition("_")
    return is_secret_name(name) and not (last == "key" and before.rpartition("_")[2] in _KEYS_OF_DATA)


def _texts(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*at, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*at, number))


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
OLD_NAMES = {
    "aggregation_strategy": "vote",
    "check_reproducibility": "frozen",
    "dtype": "precision",
    "dtypes": "precisions",
    "max_length": "window",
    "runs": "nights",
}
"""Deprecated keys, by their current names; the next release removes them."""
OLD_VALUES = {"aggregation_strategy": {"mean": "average"}}
"""By key, the current values for deprecated ones."""


def _with_deprecated_keys(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Let Prefect pass on deprecated keys: it checks parameters against this schema before they are renamed."""
    if {*OLD_NAMES, "on_undecided"} & model.model_fields.keys():
        schema.pop("additionalProperties", None)


_NUMBER = re.compile(r"\s*[-+]?[\d_]*(\.[\d_]*(e[-+]?\d+)?)?\s*", re.ASCII | re.IGNORECASE)
"""Text that YAML reads as a number unless it is in quotes; YAML 1.1 reads `3e-4` as text."""


class Expanded(str):
    """Text that an environment variable contributed to. It can be the value of any key, because variables are text."""

    __slots__ = ()


class Section(BaseModel):
    """A section of the configuration: immutable, without unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # the input may be a credential, and Prefect would store and show it
        json_schema_extra=_with_deprecated_keys,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_other_type(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept what Prefect accepts in parameters: no text as a number, and only true and false as a truth value."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        types = {*(get_args(annotation) or (annotation,))} - {NoneType, ...}
        if types in ({int}, {float}):
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, bool):
                    raise ValueError(f"{str(item).lower()} is not a number; give a number")
                if _is_text(item) and _NUMBER.fullmatch(item):
                    raise PydanticCustomError("quoted_number", "a number in quotes is text")
        elif types == {bool} and (_is_text(value) or type(value) in (int, float)):
            raise PydanticKnownError("bool_type")
        return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Expanded)


@cache
def warn_deprecated(old: str, remedy: str) -> None:
    """Warn about a deprecated name or value, once per process."""
    log.warning("%s is deprecated: %s", old, remedy)


def with_current_names(data: Any, section: str, *keys: str) -> Any:
    """The data of a section with deprecated names and values of `keys` replaced by current ones, with warnings.

    Raises ValueError if both the deprecated and the current name of a key are given.
    """
    if not isinstance(data, Mapping):
        return data
    for new in keys:
        if (old := OLD_NAMES[new]) in data:
            if new in data:
                raise ValueError(f"{old} and {new} are the same key; leave {old} out")
            warn_deprecated(f"{section}.{old}", f"write {new}")
    current = in_current_terms(data, keys)
    for key in OLD_VALUES.keys() & current.keys():
        if (given := data.get(key, data.get(OLD_NAMES[key]))) != current[key]:
            warn_deprecated(f"{section}.{key}: {given}", f"write {current[key]}")
    return current


def in_current_terms(data: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """A section, perhaps recorded by an earlier release, with the current names and values of `keys`."""
    names = {OLD_NAMES[key]: key for key in keys if key in OLD_NAMES}
    renamed = {names.get(name, name): value for name, value in data.items()}
    for key in OLD_VALUES.keys() & renamed.keys() & set(keys):
        if isinstance(value := renamed[key], str):
            renamed[key] = OLD_VALUES[key].get(value, value)
    return renamed
