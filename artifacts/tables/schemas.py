"""The declaration of the result tables: every column with its type and meaning.

A new column must be nullable. Renaming or removing a column requires a new version.
"""

from functools import cache
from typing import TYPE_CHECKING

from nerbench.artifacts.tables.columns import INSTANT, TableSchema
from nerbench.artifacts.tables.quality_tables import JUDGING, PREDICTED, QUALITY
from nerbench.artifacts.tables.run_tables import RUNNING
from nerbench.artifacts.tables.suspect_tables import SUSPECTS

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: dict[str, TableSchema] = {**QUALITY, **JUDGING, **SUSPECTS, **RUNNING}
"""The result tables by name."""
CLEAN_BY_DEFAULT: tuple[str, ...] = ("metrics", "predictions")
"""Tables whose readers get no rows about perturbed words, unless they ask for them."""
COMPACTABLE: tuple[str, ...] = tuple(
    name for name, table in TABLES.items() if any(column.name == "run_id" for column in table.columns)
)
"""Tables with files for every run. The others have one file for all runs with the same predictions, which is read as a
whole."""
IDENTITY: tuple[str, ...] = tuple(column.name for column in PREDICTED)
"""The first columns of `predictions`, `confusion`, `errors` and `calibration`, which identify the predictions and the
annotation."""


@cache
def schema(table: str) -> "pa.Schema":
    """The Arrow schema of a table; each field's metadata holds its `meaning`. Raises KeyError for an unknown table."""
    import pyarrow as pa

    types = {
        INSTANT: pa.timestamp("us", tz="UTC"),
        "list<double>": pa.list_(pa.float64()),
        "list<string>": pa.list_(pa.string()),
        "list<int32>": pa.list_(pa.int32()),
        "list<halffloat>": pa.list_(pa.float16()),
    }
    return pa.schema(
        pa.field(
            column.name,
            types.get(column.type) or pa.type_for_alias(column.type),
            nullable=column.nullable,
            metadata={"meaning": column.meaning},
        )
        for column in TABLES[table].columns
    )
