"""Exports of result tables: one table as a file, or all tables with the environment in a zip file.

The same rows and the same environment give the same bytes.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.paths import write_whole
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.environment import environment, library_versions
from nerbench.tasks.results.query import start_order
from nerbench.tasks.results.redaction import TEXTS, recorded_configuration, shareable, shareable_host

ROW_OF: dict[str, str] = {
    "metrics": "one row per score",
    "predictions": "one row per word, with the tags of the annotation and of the model",
    "confusion": "one row per pair of gold and predicted type, with its frequency (`strict` entities)",
    "errors": "one row per entity that is missed, spurious, or has a wrong type or wrong boundaries (`strict`)",
    "calibration": "one row per confidence bin or point of the risk–coverage curve (`strict` entities)",
    "gate": "one row per gate rule and model, per unchanged model that predicts differently, and per promotion",
    "robustness": "one row per model, perturbation and label: the paired difference from the clean split (`strict` F1)",
    "suspects": "one row per region of an annotation that is probably wrong, with the proposed correction",
    "training": "one row per logged training step, and one, without `loss`, per validation",
    "speed": "one row per measurement of latency and throughput",
    "memory": "one row per measurement of memory and load time",
    "custom": "one row per number of a benchmark function",
    "runs": "one row per run, with configuration, machine, versions, durations and outcome",
}
"""The meaning of a row in each table."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can contain. Real times would make every bundle differ."""


class Selection(NamedTuple):
    """The rows to export."""

    since: str | None = None
    """The first logical date, YYYY-MM-DD; all by default."""
    text: bool = True
    """Whether to include the words of the corpus, if the tables have them."""


def export_table(  # noqa: PLR0913 - what is exported, and how
    results: str, table: str, target: Path, selection: Selection, *, force: bool = False, safe: bool = False
) -> int:
    """Write one table to a `.parquet` or `.csv` file. Returns the number of rows.

    `safe`: no cell of the CSV file is a formula in a spreadsheet. Raises InputError for another suffix, an existing
    file without `force`, an unknown or empty table, or an invalid date.
    """
    check_target("--to", target, force=force, endings=(".parquet", ".csv"))
    if safe and target.suffix != ".csv":
        raise InputError("--safe", "applies to CSV files only", "leave it out, or export to a .csv file")
    rows = _read(results, table, selection)
    if not rows.num_rows:
        raise InputError(f"table {table}", f"has no rows{_since(selection)} in {results}", "benchmark first")
    if safe:
        rows = _without_formulas(_without_lists(rows))
    write_whole(target, [_csv(rows) if target.suffix == ".csv" else _parquet(rows)])
    count: int = rows.num_rows
    return count


def export_bundle(results: str, target: Path, selection: Selection, *, force: bool = False) -> dict[str, int]:
    """Write every table that has rows, the environment, a README and digests to a zip file. Returns the number of rows
    by table.

    Raises InputError for another suffix, an existing file without `force`, empty results, or an invalid date.
    """
    check_target("--bundle", target, force=force, endings=(".zip",))
    read = {table: _read(results, table, selection) for table in TABLES}
    tables = {table: rows for table, rows in read.items() if rows.num_rows}
    if not tables:
        raise InputError(f"results {results}", f"hold no rows{_since(selection)}", "run `nerbench benchmark` first")
    members = {f"tables/{table}.parquet": _parquet(rows) for table, rows in tables.items()}
    members["environment.json"] = _json({"exported_from": _environment(), "newest_run": _newest(read["runs"])})
    members["README.txt"] = _explanation(tables, selection).encode()
    members["manifest.json"] = _json(_manifest(members, tables, selection))
    write_whole(target, [_zip(members)])
    return {table: rows.num_rows for table, rows in tables.items()}


def check_target(option: str, target: Path, *, force: bool, endings: tuple[str, ...] = ()) -> None:
    """Raise InputError if a file has none of the endings, is a folder, or exists already without `force`."""
    field = f"{option} {target}"
    if endings and target.suffix not in endings:
        raise InputError(field, f"does not end in {' or '.join(endings)}", "choose another name")
    if target.is_dir():
        raise InputError(field, "is a folder", "name a file in it")
    if target.exists() and not force:
        raise InputError(field, "exists already", "choose another name, or overwrite it with --force")


def _since(selection: Selection) -> str:
    return f" since {selection.since}" if selection.since else ""


def _read(results: str, table: str, selection: Selection) -> pa.Table:
    return shareable(read_results(results, table, since=selection.since, perturbed=True), text=selection.text)


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _without_formulas(rows: pa.Table) -> pa.Table:
    """Texts that a spreadsheet would evaluate get an apostrophe in front, which marks a text there."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_string(field.type) or pa.types.is_dictionary(field.type):
            texts = pc.replace_substring_regex(rows[field.name].cast(pa.string()), r"^([=+\-@\t\r\n])", r"'\1")
            rows = rows.set_column(position, field.name, texts)
    return rows


def _without_lists(rows: pa.Table) -> pa.Table:
    """Lists as text, with blanks between the elements."""
    for position, field in enumerate(rows.schema):
        if pa.types.is_list(field.type):
            elements = rows[field.name].combine_chunks()
            if not pa.types.is_string(field.type.value_type):
                elements = elements.cast(pa.list_(pa.float64()))
            rows = rows.set_column(position, field.name, pc.binary_join(elements.cast(pa.list_(pa.string())), " "))
    return rows


def _csv(rows: pa.Table) -> bytes:
    """UTF-8 with a header; lists with blanks between, null as an empty cell, empty text as `""`."""
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(_without_lists(rows), sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _zip(members: Mapping[str, bytes]) -> bytes:
    """A zip file with members ordered by name, uncompressed, because large members are compressed themselves."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16  # Unix and rw-r--r--, on every system
            archive.writestr(info, data)
    return sink.getvalue()


def _json(data: Any) -> bytes:
    return (json.dumps(data, default=_iso, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _iso(value: date) -> str:
    return value.isoformat()


def _environment() -> dict[str, Any]:
    found = environment()
    return found | {"host": shareable_host(found["host"]), "libraries": library_versions()}


def _newest(runs: pa.Table) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = runs.to_pylist()
    if not rows:
        return None
    newest = max(rows, key=start_order)
    return newest | {"configuration": recorded_configuration(newest["configuration"]) or None}


def _manifest(members: Mapping[str, bytes], tables: Mapping[str, pa.Table], selection: Selection) -> dict[str, Any]:
    return {
        "format": "nerbench-results/1",
        **selection._asdict(),
        "tables": {table: {"schema": TABLES[table].version, "rows": rows.num_rows} for table, rows in tables.items()},
        "files": [
            {"path": name, "size": len(data), "sha256": sha256_hex(data)} for name, data in sorted(members.items())
        ],
    }


def _explanation(tables: Mapping[str, pa.Table], selection: Selection) -> str:
    texts = [rows[name] for rows in tables.values() for name in TEXTS if name in rows.column_names]
    words = any(column.null_count < len(column) for column in texts)
    first = next(iter(tables))
    return f"""Result tables of nerbench: named-entity taggers, benchmarked{_since(selection)}.

tables/*.parquet   the tables, one plain Parquet file each
environment.json   the machine and the versions of this export, and the newest run with its configuration
manifest.json      size and sha256 of every other file here

Open one with any reader of Parquet:
  pandas   pandas.read_parquet("tables/{first}.parquet")
  polars   polars.read_parquet("tables/{first}.parquet")
  DuckDB   SELECT * FROM 'tables/{first}.parquet'

{"The words of the corpus are in it: mind its licence." if words else "The words of the corpus are not in it."}
Host names are digests. Secrets, and the folders of paths, are left out of configurations.

{"".join(_columns(table, rows) for table, rows in tables.items())}"""


def _columns(table: str, rows: pa.Table) -> str:
    declared = TABLES[table].columns
    width = max(len(column.name) for column in declared)
    lines = "".join(f"  {c.name:<{width}}  {c.type:<24}  {c.meaning}\n" for c in declared)
    return f"\ntables/{table}.parquet: {ROW_OF[table]} ({rows.num_rows})\n{lines}"
