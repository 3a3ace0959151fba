"""The gate: which differences from the baseline fail a run, and which promote a model."""

import logging
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from nerbench.tasks.config.section import Mode, Name, Section, Split, Text

log = logging.getLogger(__name__)
EXACT_MATCH = ("strict", "conlleval", "discard")


class GateRule(Section):
    """One score that must not drop below that of the baseline."""

    metric: Literal["precision", "recall", "f1"] = "f1"
    """The metric to compare."""
    label: Text = "overall"
    """An entity type, or `overall` for the micro average."""
    slice: Text = "all"
    """The slice of the entities to compare, e.g. `unseen`."""
    mode: Mode = "strict"
    """The mode in which entities are matched."""
    dataset: Name | None = None
    """The data set to compare on; by default, every data set."""
    gold: Name | None = None
    """The annotation to compare against; by default, the data set's own."""
    margin: float | None = Field(default=None, ge=0, le=100)
    """Largest acceptable drop, in points; by default, the margin of the gate."""

    @model_validator(mode="after")
    def _is_counted(self) -> Self:
        if self.slice != "all" and self.mode not in EXACT_MATCH:
            raise ValueError(f"slices are scored in the modes {', '.join(EXACT_MATCH)} only, not in {self.mode}")
        if self.mode == "span" and self.label != "overall":
            raise ValueError(f"the mode span has no types; give the label overall instead of {self.label}")
        return self


class GateConfig(Section):
    """Comparison with a baseline after every benchmark. A failed rule fails the run."""

    baseline: Text = "champion"
    """The alias that marks the baseline of each model name, or a reference (with `@` or `/`) to one for all models."""
    rules: tuple[GateRule, ...] = Field(default=(GateRule(),), min_length=1)
    """Rules to check for every model; by default, one rule for overall strict F1."""
    margin: float = Field(default=0.5, ge=0, le=100)
    """Largest drop, in points, that is not a regression."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the difference intervals; the significance level of the tests is 1 − confidence."""
    on_undecided: Literal["fail", "warn"] | None = None
    """What an undecided comparison does. By default, it fails the run if the observed drop exceeds the margin, and
    otherwise warns. The deprecated key `strict: true` means `fail`."""
    promote: bool = False
    """Move the alias to a model that improves by the first rule and fails no rule, and to the first model of a name."""
    promote_on: Split = "validation"
    """The split that decides on promotion; must differ from the benchmark's split."""
    promote_on_reported: bool = False
    """Allow promotion by the benchmark's split; the promotion records this."""

    @property
    def is_alias(self) -> bool:
        """Whether `baseline` is an alias rather than a reference."""
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
