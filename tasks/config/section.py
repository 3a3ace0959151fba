"""The base class and common types of configuration sections."""

import logging
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationInfo, field_validator

log = logging.getLogger(__name__)
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Split = Literal["train", "validation", "test"]
SourceName = Split | Literal["all"]
Dtype = Literal["fp32", "bf16", "fp16"]
Mode = Literal["strict", "conlleval", "discard", "exact", "partial", "type", "span"]
"""How entities are matched: see `nerbench.tasks.scoring.counts`."""
DEFAULT_MODES: tuple[Mode, ...] = ("strict", "conlleval", "exact", "partial", "type")
"""The modes whose numbers differ."""

OLD_NAMES = {"dtype": "precision", "dtypes": "precisions"}
"""Keys from before this release, by their current names; they go with the next one."""


class Section(BaseModel):
    """A section of the configuration: immutable, without unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a credential, and Prefect would store and show it
    )

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation in (int, float, int | None, float | None):
            raise ValueError(f"{str(value).lower()} is not a number; give a number")
        return value


@cache
def warn_renamed(old: str, new: str) -> None:
    """Warn about a name from before this release, once per process."""
    log.warning("%s will go: write %s", old, new)


def with_new_name(data: Any, section: str, new: str) -> Any:
    """The data of a section with a key from before this release (OLD_NAMES) under its current name, with a warning.

    Raises ValueError if both names are given.
    """
    old = OLD_NAMES[new]
    if not (isinstance(data, dict) and old in data):
        return data
    if new in data:
        raise ValueError(f"{old} and {new} are the same key; leave {old} out")
    warn_renamed(f"{section}.{old}", new)
    return {new if name == old else name: value for name, value in data.items()}
