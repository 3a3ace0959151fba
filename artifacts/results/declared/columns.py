"""What the declaration of a result table is made of, and the columns that several tables have."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a result table."""

    name: str
    type: str
    """An Arrow type as Arrow prints it."""
    meaning: str
    """One line; units included."""
    nullable: bool
    """Whether rows may leave it out."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One result table."""

    version: int
    """Stands in the path of its files."""
    columns: tuple[Column, ...]
    """In the order they are written."""
    volatile: frozenset[str]
    """Columns in which two attempts of one run may differ."""


def key(name: str, meaning: str, type_: str = "string") -> Column:
    """A column that every row fills."""
    return Column(name=name, type=type_, meaning=meaning, nullable=False)


def value(name: str, meaning: str, type_: str = "double") -> Column:
    """A column that rows may leave out."""
    return Column(name=name, type=type_, meaning=meaning, nullable=True)


def table(*columns: Column, volatile: tuple[str, ...]) -> TableSchema:
    """A first version, in which whatever is measured in or per second may differ as well."""
    seconds = {column.name for column in columns if column.name.endswith("_s")}
    return TableSchema(version=1, columns=columns, volatile=frozenset(volatile) | seconds)


INSTANT = "timestamp[us, tz=UTC]"
RUN_ID = key("run_id", "the run: its deployment and scheduled time, else the id of its flow run")
STARTED_AT = key("started_at", "when the run started", INSTANT)
ARTIFACT_ID = key("artifact_id", "sha256 of the model's manifest")
MODEL = key("model", "the name the model is known by")
PRECISION = key("precision", "arithmetic of the inference: `fp32`, `bf16`, `fp16`")
