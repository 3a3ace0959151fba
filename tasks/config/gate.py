"""Which differences from the baseline let a run fail, and which move the baseline."""

import logging
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from nerbench.tasks.config.section import Mode, Name, Section, Split, Text

log = logging.getLogger(__name__)
EXACT_MATCH = ("strict", "conlleval", "discard")


class GateRule(Section):
    """One number that must not fall."""

    metric: Literal["precision", "recall", "f1"] = "f1"
    """Which."""
    label: Text = "overall"
    """An entity type, or `overall` (micro average)."""
    slice: Text = "all"
    """Which entities, e.g. `unseen`."""
    mode: Mode = "strict"
    """How entities are matched."""
    dataset: Name | None = None
    """The data set; every one by default."""
    gold: Name | None = None
    """The annotation; the data set's own by default."""
    margin: float | None = Field(default=None, ge=0, le=100)
    """Points that it may fall; the gate's margin by default."""

    @model_validator(mode="after")
    def _is_counted(self) -> Self:
        if self.slice != "all" and self.mode not in EXACT_MATCH:
            raise ValueError(f"slices are scored in the modes {', '.join(EXACT_MATCH)} only, not in {self.mode}")
        if self.mode == "span" and self.label != "overall":
            raise ValueError(f"the mode span has no types; give the label overall instead of {self.label}")
        return self


class GateConfig(Section):
    """What is compared with the baseline after every benchmark; what fails lets the run fail."""

    baseline: Text = "champion"
    """The alias under which each model's baseline stands, or a reference (with `@` or `/`) to one for all models."""
    rules: tuple[GateRule, ...] = Field(default=(GateRule(),), min_length=1)
    """Each is judged for every model; overall strict F1 by default."""
    margin: float = Field(default=0.5, ge=0, le=100)
    """Points that a number may fall without being a regression."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Of the intervals of the differences; a test is significant at 1 − confidence."""
    on_undecided: Literal["fail", "warn"] | None = None
    """What a number does that the data cannot decide about; by default it fails where the observed drop exceeds the
    margin, and else is reported. The old key `strict: true` means `fail`."""
    promote: bool = False
    """Move the alias to a model that is an improvement by the first rule and fails none, and to the first model."""
    promote_on: Split = "validation"
    """The split that decides about promotion; not the one that is reported."""
    promote_on_reported: bool = False
    """Decide on the reported split all the same; recorded with the promotion."""

    @property
    def is_alias(self) -> bool:
        """Whether `baseline` is an alias of each model's name."""
        return not {"@", "/"} & set(self.baseline)

    @model_validator(mode="before")
    @classmethod
    def _strict_is_on_undecided(cls, data: Any) -> Any:
        if not (isinstance(data, dict) and "strict" in data):
            return data
        rest = {name: value for name, value in data.items() if name != "strict"}
        if not isinstance(data["strict"], bool):
            raise ValueError(f"strict is {data['strict']}; give on_undecided: fail instead, or leave it out")
        if data["strict"] and rest.setdefault("on_undecided", "fail") != "fail":
            raise ValueError("strict: true and on_undecided: warn contradict each other; leave strict out")
        log.warning("gate.strict will go: %s", "write on_undecided: fail" if data["strict"] else "leave it out")
        return rest

    @model_validator(mode="after")
    def _has_one_baseline(self) -> Self:
        if "*" in self.baseline:
            raise ValueError(f"baseline is {self.baseline}, which means several models; give an alias, e.g. champion")
        if self.promote and not self.is_alias:
            raise ValueError(f"promote moves an alias, and baseline is {self.baseline}; give one, e.g. champion")
        return self
