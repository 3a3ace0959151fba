"""The values of custom benchmark functions in some runs, compared with earlier runs."""

import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.tables import read_newest_first
from nerbench.tasks.report.history import DAYS
from nerbench.tasks.results.query import ended_runs
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import parameters_of

MOST = 1_000
"""Maximum number of values in a page."""
_SAME = ("name", "parameters", "model", "dataset", "split", "gold", "unit")
"""Columns in which comparable values agree."""
_COLUMNS = (*_SAME, "run_id", "started_at", "attempt", "value")
Key = tuple[Any, ...]


class Value(NamedTuple):
    """The value of one call."""

    name: str
    parameters: str
    """`batch=8, words=32`; empty without parameters."""
    model: str
    """Empty for a function that takes no model."""
    place: str
    """The data set, with the annotation if it is not the data set's own; empty for a function that takes neither."""
    value: float | None
    unit: str
    reason: str
    """Why there is no value."""
    before: float | None
    """The value in the newest complete run before that has one."""
    since: str
    """The logical date of that run; empty if there is none."""

    @property
    def change(self) -> float | None:
        """The difference from the value before."""
        return None if self.value is None or self.before is None else self.value - self.before


class _Before(NamedTuple):
    value: float
    date: str


def compare_values(results: str, rows: Sequence[Row]) -> list[Value]:
    """The rows of `custom` of some runs (newest run first), each with the value of an earlier run.

    Ordered by function, parameters, model and data set. If several runs have the same call, the newest counts.
    """
    newest: dict[Key, Row] = {}
    for row in rows:
        newest.setdefault(_key(row), row)
    before = _before(results, newest)
    return sorted((_value(row, before.get(key)) for key, row in newest.items()), key=lambda one: one[:4])


def _before(results: str, newest: Mapping[Key, Row]) -> dict[Key, _Before]:
    found: dict[Key, _Before] = {}
    for dated in islice(read_newest_first(results, "custom", columns=_COLUMNS) if newest else (), DAYS):
        ended = {row["run_id"] for row in ended_runs(results, dated)}
        for row in sorted(as_rows(dated.rows), key=lambda row: (row["started_at"], row["attempt"]), reverse=True):
            now = newest.get(key := _key(row))
            if now and row["run_id"] in ended and row["value"] is not None and row["started_at"] < now["started_at"]:
                found.setdefault(key, _Before(row["value"], dated.date))
        if len(found) == len(newest):
            break
    return found


def _key(row: Row) -> Key:
    return tuple(row[name] for name in _SAME)


def _value(row: Row, before: _Before | None) -> Value:
    dataset, gold = row["dataset"] or "", row["gold"] or ""
    return Value(
        name=row["name"],
        parameters=_parameters(row["parameters"] or ""),
        model=row["model"] or "",
        place=dataset if gold in {dataset, ""} else f"{dataset} against {gold}",
        value=row["value"],
        unit=row["unit"] or "",
        reason=row["reason"] or "",
        before=before.value if before else None,
        since=before.date if before else "",
    )


def _parameters(text: str) -> str:
    try:
        return parameters_of(json.loads(text)) or ""
    except (ValueError, TypeError):  # written by another program
        return text
