"""Metrics of other projects."""

from typing import Any

from pydantic import Field

from nerbench.tasks.config.section import Name, Section, Text


class EvaluateMetric(Section):
    """A metric of the library `evaluate`, computed from the tags of all sentences; each of its numbers is a row."""

    evaluate: Text
    """Its script, e.g. `seqeval.py`, or the folder of that name that holds it; it lies where code may be loaded."""
    name: Name | None = None
    """What its rows are called by; the script's name by default."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of its `compute`, e.g. `{mode: strict, scheme: IOB2}`."""
