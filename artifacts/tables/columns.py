"""The types that declare a result table, and the columns that several tables share."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a result table."""

    name: str
    type: str
    """An Arrow type as Arrow prints it."""
    meaning: str
    """A one-line description, including units."""
    nullable: bool
    """Whether the column may be null."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One result table."""

    version: int
    """The schema version, which is part of the file path."""
    columns: tuple[Column, ...]
    """In file order."""
    identity: tuple[str, ...]
    """The columns that together identify a row."""
    nondeterministic: frozenset[str]
    """Columns that may differ between two attempts of one run."""


def key(name: str, meaning: str, type_: str = "string") -> Column:
    """A column that is never null."""
    return Column(name=name, type=type_, meaning=meaning, nullable=False)


def value(name: str, meaning: str, type_: str = "double") -> Column:
    """A column that may be null."""
    return Column(name=name, type=type_, meaning=meaning, nullable=True)


def table(*columns: Column, identity: tuple[str, ...], nondeterministic: tuple[str, ...]) -> TableSchema:
    """The current version of a table, with `run_date` first.

    Columns whose names end in `_s` (seconds, or per second) are nondeterministic, too.
    """
    seconds = {column.name for column in columns if column.name.endswith("_s")}
    return TableSchema(
        version=VERSION,
        columns=(RUN_DATE, *columns),
        identity=identity,
        nondeterministic=frozenset(nondeterministic) | seconds,
    )


VERSION = 2
"""The current version of all tables. `nerbench.artifacts.tables.upgrading` reads rows of version 1."""
RUN_DATE = key("run_date", "logical date of the run that wrote the file, as in its path", "date32")
INSTANT = "timestamp[us, tz=UTC]"
RUN_ID = key("run_id", "the run: its deployment and scheduled time, or the id of its flow run")
STARTED_AT = key("started_at", "when the run started", INSTANT)
ARTIFACT_ID = key("artifact_id", "sha256 of the model's manifest")
MODEL = key("model", "name of the model")
DTYPE = key("dtype", "type of the numbers in the inference: `fp32`, `bf16`, `fp16` or `int8`")
