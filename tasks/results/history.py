"""The history of one number of one model: its value in every run, the changes between them, and missing runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as calendar_date
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import pairwise
from statistics import median_low
from typing import Any, NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.parquet_bounds import matching
from nerbench.artifacts.tables.tables import Filter, read_newest_first, read_results
from nerbench.tasks.results.environment_changes import READ_COLUMNS, difference
from nerbench.tasks.results.query import start_order
from nerbench.tasks.scoring.metrics import Row

MOST_SINCE = 30
"""Maximum number of missing runs to list after the last run; a schedule that did not run for longer was given up."""


def missing_dates(dates: Sequence[str], until: str | None = None) -> list[str]:
    """The dates without an expected run, given the dates of all runs (`dates`, YYYY-MM-DD, sorted).

    The expected interval between runs is the median gap (the lower one of two); with fewer than two gaps, no run is
    expected. With `until`, the dates after the last run and before `until` count, too, up to MOST_SINCE of them.
    """
    days = [calendar_date.fromisoformat(date) for date in dates]
    gaps = [(after - before).days for before, after in pairwise(days) if after > before]
    if len(gaps) < 2:
        return []
    step = median_low(gaps)
    spans = [(before, -(-(after - before).days // step)) for before, after in pairwise(days)]
    if until:
        since = (calendar_date.fromisoformat(until) - days[-1]).days
        spans.append((days[-1], min(-(-since // step), MOST_SINCE + 1)))
    expected = (start + timedelta(days=number * step) for start, end in spans for number in range(1, end))
    return [day.isoformat() for day in expected]


def deployment_of(run_id: str) -> str | None:
    """`benchmark-nightly` of `benchmark-nightly@2026-01-31T02:00:00.000000+00:00`; None for a run without a
    deployment."""
    name, at, moment = run_id.rpartition("@")
    if not at:
        return None
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return None
    return name


MEASURED = ("metric", "label", "slice", "mode")
"""The columns that identify a number."""
_IDENTITY = ("artifact_id", "model_sha256", "words_sha256", "gold_sha256", "predictions_digest", "dtype")
_COLUMNS = (
    *("run_id", "started_at", "dataset", "split", "gold", "average", *_IDENTITY),
    *("value", "ci_low", "ci_high", "reason"),
)
_MICRO = ("micro", "", None)
"""Averages of the number; a single label has none."""
_MAY_DIFFER = frozenset({"ram_bytes", "code_dirty"})
"""Columns that differ between machines or checkouts without explaining anything."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """The number to look up, and the runs to look in."""

    metric: str = "f1"
    label: str = "overall"
    slice: str = "all"
    mode: str = "strict"
    dataset: str | None = None
    gold: str | None = None
    since: str | None = None
    """The first logical date, YYYY-MM-DD."""
    until: str | None = None
    """The date before which runs are expected, usually today; None: no run after the last one is expected."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """The number in one run, or a run or date without a number."""

    date: str
    """The run's logical date."""
    run_id: str | None
    """None for a date without a run."""
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    artifact_id: str | None = None
    change: float | None = None
    """The value minus that of the previous run with a value."""
    changed: tuple[str, ...] = ()
    """The changes since the previous run: model, words, gold, environment."""
    reason: str | None = None
    """Why there is no number."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The history of the number on one split of one data set against one annotation."""

    dataset: str
    split: str
    gold: str
    points: tuple[Point, ...]
    """Earliest first."""


class _Run(NamedTuple):
    """A row of `runs` with its logical date."""

    date: str
    row: Mapping[str, Any]


def history(results: str, model: str, query: Query) -> list[Series]:
    """The series of a model, ordered by data set and annotation; a data set's own annotation first.

    A run is missing on a date on which a deployment should have run by its usual interval. A run of that deployment
    without a number of the model counts as a run without a value. The same holds for the dates after the last run, up
    to `query.until`. Raises InputError, with the unknown part of the query, if there is no such number.
    """
    _check_name(model)
    rows = list(_rows(results, model, query))
    if not rows:
        raise _nothing(results, model, query)
    runs = _runs(results, query.since)
    found: dict[tuple[str, str, str], list[tuple[str, Row]]] = {}
    for date, row in rows:
        found.setdefault((row["dataset"], row["split"], row["gold"]), []).append((date, row))
    ordered = sorted(found, key=lambda names: (names[0], names[2] != names[0], names[2], names[1]))
    return [
        Series(dataset=names[0], split=names[1], gold=names[2], points=_points(found[names], runs, query.until))
        for names in ordered
    ]


def _check_name(model: str) -> None:
    if "/" in model or "@" in model or "#" in model:
        name = model.partition("@")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
        problem = "is one version or a place; a history is that of a name"
        raise InputError(f"model {model!r}", problem, f"write {name or 'its name'}")


def _rows(results: str, model: str, query: Query) -> Iterator[tuple[str, Row]]:
    """(logical date, row) of every run. Of two rows for one number, such as after rescoring, the one with a value."""
    filters: list[Filter] = [("model", "=", model), *((name, "=", getattr(query, name)) for name in MEASURED)]
    filters += [(name, "=", value) for name in ("dataset", "gold") if (value := getattr(query, name))]
    rows = read_results(results, "metrics", columns=["run_date", *_COLUMNS], filters=filters, since=query.since)
    numbers: dict[tuple[Any, ...], Row] = {}
    for row in (row for row in as_rows(rows) if row["average"] in _MICRO):
        key = tuple(row[name] for name in ("run_date", "run_id", "artifact_id", "dataset", "split", "gold"))
        if row["value"] is not None or key not in numbers:
            numbers[key] = row
    yield from ((row.pop("run_date").isoformat(), row) for row in numbers.values())


def _runs(results: str, since: str | None) -> dict[str, _Run]:
    """The runs by id, with the rows of their last attempt."""
    rows = as_rows(read_results(results, "runs", columns=("run_date", "outcome", *READ_COLUMNS), since=since))
    return {row["run_id"]: _Run(row["run_date"].isoformat(), row) for row in sorted(rows, key=start_order)}


def _points(rows: Iterable[tuple[str, Row]], runs: Mapping[str, _Run], until: str | None) -> tuple[Point, ...]:
    ordered = sorted(rows, key=lambda one: (one[0], one[1]["started_at"], one[1]["artifact_id"]))
    points, last, before = [], None, None
    for date, row in ordered:
        point = _point(date, row)
        if before is not None:
            point = replace(point, changed=_changed(before, row, runs))
        if last is not None and row["value"] is not None:
            point = replace(point, change=row["value"] - last)
        points.append(point)
        before, last = row, row["value"] if row["value"] is not None else last
    return tuple(sorted([*points, *_without(ordered, runs, until)], key=lambda point: point.date))


def _point(date: str, row: Row) -> Point:
    numbers = {name: row[name] for name in ("run_id", "value", "ci_low", "ci_high", "artifact_id")}
    return Point(date=date, reason=row["reason"] if row["value"] is None else None, **numbers)


def _without(rows: Sequence[tuple[str, Row]], runs: Mapping[str, _Run], until: str | None) -> Iterator[Point]:
    """Runs of the same deployments without a number of the model, and dates without a run."""
    of_model = {row["run_id"] for _, row in rows}
    first, last = rows[0][0], rows[-1][0]
    newest = max([last, *(run.date for run in runs.values())])
    for deployment in sorted({name for run_id in of_model if (name := deployment_of(run_id))}):
        its = {run_id: run.date for run_id, run in runs.items() if deployment_of(run_id) == deployment}
        its |= {row["run_id"]: date for date, row in rows if deployment_of(row["run_id"]) == deployment}
        for run_id in its.keys() - of_model:
            if first <= its[run_id] <= newest:
                outcome = runs[run_id].row["outcome"]
                reason = "the run failed" if outcome == "failed" else "the model was not scored in it"
                yield Point(date=its[run_id], run_id=run_id, reason=reason)
        missing = missing_dates(sorted(its.values()), until)
        yield from (Point(date=date, run_id=None, reason="no run") for date in missing)


def _changed(before: Row, now: Row, runs: Mapping[str, _Run]) -> tuple[str, ...]:
    changes = []
    if before["model_sha256"] != now["model_sha256"]:
        changes.append(f"model {before['artifact_id'][:8]} → {now['artifact_id'][:8]}")
    elif before["artifact_id"] != now["artifact_id"]:
        changes.append("published again, the same weights")
    elif _same(before, now, "words_sha256") and not _same(before, now, "predictions_digest"):
        changes.append("predictions")
    for what in ("words", "gold"):
        if not _same(before, now, f"{what}_sha256"):
            changes.append(f"{what} {str(before[f'{what}_sha256'])[:8]} → {str(now[f'{what}_sha256'])[:8]}")
    sides = [runs[row["run_id"]].row if row["run_id"] in runs else None for row in (before, now)]
    environments = difference(sides[0], sides[1], before["dtype"], now["dtype"])
    changes += [
        _change_text(name, pair) for name, pair in environments.items() if name not in _MAY_DIFFER and name != "run"
    ]
    return tuple(changes)


def _same(before: Row, now: Row, column: str) -> bool:
    return bool(before[column] == now[column])


def _change_text(name: str, pair: Mapping[str, Any]) -> str:
    if name == "cpu_flags":
        return "cpu_flags"
    before, after = (str(value)[:12] if value not in (None, "") else "none" for value in pair.values())
    return f"{name} {before} → {after}"


def _nothing(results: str, model: str, query: Query) -> InputError:
    """The error that names the part of the query that the results do not have, and what they have instead."""
    wanted: list[tuple[str, str]] = [("model", model)]
    wanted += [(name, value) for name in ("dataset", "gold", *MEASURED) if (value := getattr(query, name))]
    columns = [name for name, _ in wanted]
    dates = read_newest_first(results, "metrics", columns=columns)
    newest = next((n.rows for n in dates if model in n.rows["model"].to_pylist()), None)
    if newest is None:
        return _unknown_model(results, model)
    left = newest.group_by(columns).aggregate([])
    for name, value in wanted:
        there = sorted({one for one in left[name].to_pylist() if one})
        if value not in there:
            field = f"model {value!r}" if name == "model" else f"--{name} {value}"
            return InputError(field, f"{model} has no such number", f"choose among {', '.join(there)}")
        left = matching(left, [(name, "=", value)])
    return InputError(f"--since {query.since}", f"{model} has no run on or after that date", "give an earlier date")


def _unknown_model(results: str, model: str) -> InputError:
    known = sorted(set(read_results(results, "metrics", columns=["model"])["model"].to_pylist()))
    if not known:
        return InputError(
            f"results {results}", "hold no scores yet", "run `nerbench run` or `nerbench benchmark` first"
        )
    near = get_close_matches(model, known, n=5) or known[:10]
    return InputError(f"model {model!r}", f"is in no run of {results}", f"choose among {', '.join(near)}")
