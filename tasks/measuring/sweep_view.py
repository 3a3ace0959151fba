"""Output of a sweep: a table, the conditions of the measurement, the problems, and a CSV file."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.measuring.plan import REFERENCE
from nerbench.tasks.results.query import used_memory

Row = dict[str, Any]
_CELL = ("artifact_id", "backend", "dtype", "workload", "batch_size", "sequence_length")
_OF_RUN = ("run_id", "run_date", "started_at", "attempt")
BUSY_CORES = 0.1
"""Minimum load by other processes, in cores, at which a sweep counts as disturbed."""


def sweep_table(speed: Iterable[Row], memory: Iterable[Row], workload: str) -> list[Row]:
    """One row per measured cell; columns with the same default in all cells are left out."""
    used = {_key(row): row for row in memory}
    rows = [row for row in speed if row["status"] == "ok" and row["workload"] == workload]
    with_head = all(row.get("head") in (None, "token") for row in rows)
    plain = all((row["backend"], row["dtype"]) == REFERENCE for row in rows)
    return [
        {
            "model": row["model"],
            **({} if plain else {"with": f"{row['backend']} {row['dtype']}"}),
            **({} if with_head else {"head": row["head"]}),
            "batch": row["batch_size"],
            "length": "real" if row["sequence_length"] is None else str(row["sequence_length"]),
            "ms": 1e3 * row["mean_s"],
            "95 %": _interval(row),
            "p90 ms": None if row["p90_s"] is None else 1e3 * row["p90_s"],
            **({} if plain else {"agree": _percent(row["agreement"])}),
            "sentences/s": round(row["sentences_per_s"]),
            "tokens/s": round(row["tokens_per_s"]),
            "MB": _over_baseline(used.get(_key(row), {})),
        }
        for row in rows
    ]


def _key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _CELL)


def _interval(row: Row) -> str:
    if row.get("ci_low_s") is None:
        return ""
    return f"{1e3 * row['ci_low_s']:.2f}–{1e3 * row['ci_high_s']:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _over_baseline(row: Row) -> int | None:
    """Megabytes, rounded."""
    used = used_memory(row)
    return None if used is None else round(used / 1e6)


def surroundings(environment: Row, speed: Sequence[Row]) -> list[Row]:
    """The conditions of the measurement, one row each; unknown ones are left out."""
    measured = [row for row in speed if row["status"] == "ok"]
    known = {
        **{name: value for name, value in environment.items() if name != "cpu_flags"},
        "ram": f"{environment['ram_bytes'] / 1e9:.0f} GB",
        "gpu_memory": _gigabytes(environment["gpu_memory_bytes"]),
        "threads": measured[0]["threads"],
        "sgemm": f"{_middle(measured, 'sgemm_flops_per_s') / 1e9:.0f} GFLOP/s",
        "copy": f"{_middle(measured, 'copy_bytes_per_s') / 1e9:.1f} GB/s",
        "background load": f"{_middle(measured, 'background_cores'):.2f} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }
    hidden = {"ram_bytes", "gpu_memory_bytes", "code_dirty"}
    return [
        {"what": name.replace("_", " "), "value": str(value)}
        for name, value in known.items()
        if value not in (None, "") and name not in hidden
    ]


def _gigabytes(amount: int | None) -> str | None:
    return None if amount is None else f"{amount / 1e9:.0f} GB"


def _middle(rows: Iterable[Row], name: str) -> float:
    values = sorted(row[name] for row in rows if row[name] is not None)
    return float(values[len(values) // 2]) if values else 0.0


def troubles(speed: Sequence[Row], memory: Iterable[Row]) -> list[str]:
    """One line per cell without numbers, grouped by kind of computation, and one for a disturbance of all cells."""
    cells: dict[tuple[str, ...], list[str]] = {}
    for row in speed:
        if row["status"] != "ok":
            way = (row["model"], row["backend"], row["dtype"], row["workload"], row["status"])
            cells.setdefault(way, []).append(_cell(row))
    lines = [f"{' '.join(way[:-1])}: {way[-1]} ({', '.join(which)})" for way, which in cells.items()]
    if any(row.get("single_process") for row in speed):
        lines.append("measured in the process of the command, for debugging: not comparable with other measurements")
    busy = [row["background_cores"] for row in speed if (row.get("background_cores") or 0) >= BUSY_CORES]
    if busy:
        lines.append(f"other processes kept up to {max(busy):.1f} cores busy in {len(busy)} of {len(speed)} cells")
    return lines


def taken_over(speed: Iterable[Row]) -> list[str]:
    """One line per model with samples of an interrupted sweep: its cells, and the number of processes that timed
    them."""
    cells: dict[tuple[str, ...], list[str]] = {}
    for row in speed:
        if row.get("taken_over"):
            way = (row["model"], row["backend"], row["dtype"], row["workload"])
            cells.setdefault(way, []).append(f"{_cell(row)}: {row['taken_over']}")
    return [f"{' '.join(way)}: processes of an interrupted sweep ({', '.join(which)})" for way, which in cells.items()]


def _cell(row: Row) -> str:
    return f"{row['batch_size']} × {'real' if row['sequence_length'] is None else row['sequence_length']}"


def joined(speed: Iterable[Row], memory: Iterable[Row]) -> list[Row]:
    """One row per cell: the columns of `speed` without the single samples, then the additional columns of `memory`."""
    used = {_key(row): row for row in memory}
    columns = dict.fromkeys(
        column.name
        for table in ("speed", "memory")
        for column in TABLES[table].columns
        if not column.type.startswith("list") and column.name not in _OF_RUN
    )
    both = ({**used.get(_key(row), {}), **row} for row in speed)
    return [{name: row.get(name) for name in columns} for row in both]


def write_csv(file: Path, speed: Iterable[Row], memory: Iterable[Row]) -> None:
    """Write the rows of `joined`. Raises FileExistsError."""
    _write(file, joined(speed, memory))


SECTIONS = {
    f"{name}_{what}": (workload, what)
    for name, workload in (("inference", "inference"), ("train", "training"))
    for what in ("time", "memory")
}
"""PyTorchBenchmark's sections: workload and quantity, by file name."""
FILES = tuple(f"{name}.csv" for name in (*SECTIONS, "environment"))


def write_sections(folder: Path, speed: Sequence[Row], memory: Sequence[Row], environment: Row) -> None:
    """Write one file per measured section, and the environment, as transformers' PyTorchBenchmark did.

    `result` is the mean seconds per batch, or the largest memory in MiB, or N/A; further columns distinguish what
    PyTorchBenchmark did not have. Raises FileExistsError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (workload, what) in SECTIONS.items():
        rows = [row for row in (speed if what == "time" else memory) if row["workload"] == workload]
        result = _mean if what == "time" else _megabytes
        if rows:
            _write(folder / f"{name}.csv", [_section_row(row, result(row)) for row in rows])
    with (folder / "environment.csv").open("x", newline="", encoding="utf-8") as target:
        csv.writer(target).writerows((name, value) for name, value in environment.items() if value is not None)


def _section_row(row: Row, result: float | None) -> Row:
    return {
        "model": row["model"],
        "batch_size": row["batch_size"],
        "sequence_length": "real" if row["sequence_length"] is None else row["sequence_length"],
        "result": "N/A" if result is None else result,
        **{name: row.get(name) for name in ("backend", "dtype", "head", "device", "status")},
    }


def _mean(row: Row) -> float | None:
    return row.get("mean_s")


def _megabytes(row: Row) -> float | None:
    """The memory of the process; on an accelerator as reported by the driver, which few containers see."""
    names = ("peak_process_bytes", "peak_reserved_bytes", "peak_rss_bytes")
    used = next((row[name] for name in names if row.get(name) is not None), None)
    return None if used is None else round(used / (1 << 20), 1)


def _write(file: Path, rows: Sequence[Row]) -> None:
    with file.open("x", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
