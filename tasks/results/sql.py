"""Views for DuckDB over the result tables: a view per table, and `trend`, `latest` and `headline` over `metrics`.

The views `metrics` and `predictions` have no rows about perturbed words, which are in `perturbed_metrics` and
`perturbed_predictions`.
"""

import re

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.columns import VERSION
from nerbench.artifacts.tables.schemas import CLEAN_BY_DEFAULT, TABLES
from nerbench.artifacts.tables.upgrading import EARLIER, earlier_names

_UPGRADED = {
    ("metrics", "aggregation"): "CASE WHEN n_models IS NULL THEN 'model' ELSE 'seed_mean' END",
    ("metrics", "average"): "coalesce(average, '')",
    ("gate", "unit"): "CASE WHEN kind = 'speed' THEN 'seconds' WHEN metric IS NOT NULL THEN 'share' END",
    ("gate", "verdict"): "CASE WHEN verdict = 'inconclusive' THEN 'undecided' ELSE verdict END",
    ("gate", "metric"): "CASE WHEN kind = 'speed' THEN 'min_latency_s' ELSE metric END",
}
"""Columns of the current schema from those of schema 1, as in `nerbench.artifacts.tables.upgrading`."""
_SCORES = """
-- One row per complete run, model and annotation: strict scores of all entities, micro-averaged.
CREATE OR REPLACE VIEW trend AS
SELECT run_date, run_id, any_value(run_started_at) AS started_at, model, artifact_id, dataset, split, gold, dtype,
       aggregation,
       max(value) FILTER (metric = 'f1') AS f1,
       max(ci_low) FILTER (metric = 'f1') AS f1_ci_low,
       max(ci_high) FILTER (metric = 'f1') AS f1_ci_high,
       max(value) FILTER (metric = 'precision') AS "precision",
       max(value) FILTER (metric = 'recall') AS recall,
       max(support) AS support
FROM metrics
JOIN (SELECT run_id, max(started_at) AS run_started_at FROM runs GROUP BY run_id) USING (run_id)
WHERE level = 'entity' AND mode = 'strict' AND slice = 'all' AND label = 'overall' AND average = 'micro'
      AND metric IN ('f1', 'precision', 'recall')
GROUP BY run_date, run_id, model, artifact_id, dataset, split, gold, dtype, aggregation;

-- `trend` of the newest complete run of each model and annotation.
CREATE OR REPLACE VIEW headline AS
SELECT * FROM trend
QUALIFY row_number() OVER (
    PARTITION BY model, dataset, split, gold ORDER BY run_date DESC, started_at DESC, run_id DESC, artifact_id DESC
) = 1;

-- All rows of `metrics` of the runs in `headline`.
CREATE OR REPLACE VIEW latest AS
SELECT metrics.* FROM metrics
SEMI JOIN headline USING (run_id, artifact_id, dataset, split, gold);
"""


def views(results: str) -> str:
    """SQL statements that create the views in DuckDB.

    Raises InputError for results without a complete run with scores, and for a location that DuckDB cannot read.
    """
    root = open_root(results)
    if root.url.startswith("memory://"):
        raise InputError(f"results {results}", "exist in this process only", "name a folder or an object store")
    if found := re.search(r"[*?\[\]{}]", root.url):
        raise InputError(
            f"results {results}",
            f"have {found[0]} in their path",
            "move them, because DuckDB reads that character as a pattern",
        )
    created = {table: _view(root, table) for table in TABLES}
    for table in ("metrics", "runs"):
        if created[table] is None:
            raise InputError(f"results {results}", f"hold no {table} yet", "run `nerbench benchmark` first")
    return "\n".join(view for view in created.values() if view) + _SCORES


def _view(root: Root, table: str) -> str | None:
    """The view of a table with the columns of the current schema; None if it has no files."""
    paths = root.files(table, recursive=True)
    found = [n for n in (VERSION, *EARLIER) if any(path.startswith(f"{table}/schema={n}/date=") for path in paths)]
    selects = [_select(f"{root.url}/{table}/schema={n}/date=*/*.parquet", table, n) for n in found]
    union = "\nUNION ALL BY NAME\n".join(selects)
    if not selects:
        return None
    if table not in CLEAN_BY_DEFAULT:
        return f"CREATE OR REPLACE VIEW {table} AS\n{union};\n"
    # A relation with the column, so that it is null and not an error where no file has it.
    rows = f"(\n{union}\nUNION ALL BY NAME\nSELECT CAST(NULL AS VARCHAR) AS perturbation WHERE false\n)"
    return (
        f"CREATE OR REPLACE VIEW {table} AS\nSELECT * FROM {rows} WHERE perturbation IS NULL;\n"
        f"CREATE OR REPLACE VIEW perturbed_{table} AS\nSELECT * FROM {rows} WHERE perturbation IS NOT NULL;\n"
    )


def _select(glob: str, table: str, version: int) -> str:
    quoted = "'" + glob.replace("'", "''") + "'"
    if version == VERSION:
        return f"SELECT * FROM read_parquet({quoted}, union_by_name = true, hive_partitioning = false)"
    before = earlier_names(table)
    known = {name: f'"{earlier}"' if earlier else "NULL" for name, earlier in before.items() if name != "run_date"}
    columns = (f'{_UPGRADED.get((table, name), earlier)} AS "{name}"' for name, earlier in known.items())
    # An empty relation with all columns, so that a column that no file has is null and not an error.
    nulls = ", ".join(f'NULL AS "{name}"' for name in before.values() if name)
    return f"""SELECT CAST("date" AS DATE) AS run_date, {", ".join(columns)}
FROM (
    SELECT * FROM read_parquet({quoted}, union_by_name = true, hive_partitioning = true)
    UNION ALL BY NAME
    SELECT {nulls} WHERE false
)"""
