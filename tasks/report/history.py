"""The history in a report: headline score and latency of every model by run, changes of the environment, and trends."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from itertools import islice, pairwise
from typing import Any, NamedTuple

from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.tables import Budget, DatedRows, Filter, read_newest_first
from nerbench.tasks.results.environment_changes import READ_COLUMNS, difference
from nerbench.tasks.results.query import HEADLINE_FILTERS, is_headline, runs_of_date, start_order
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import metrics_keys

DAYS = 365
"""Number of logical dates to read."""
FILES = 4_000
"""Maximum number of files of scores to read, each in one or two milliseconds; a compacted day is one file."""
POINTS = 40_000
"""Maximum number of points in all series together, which a page can hold and a browser can draw easily."""
FEWEST = 60
"""Minimum number of points that every series keeps."""
SERIES = 200
"""Number of scores of a date from which the series of the shown models alone are read, and no more than so many."""
_SERIES = ("model", "dataset", "split", "gold", "dtype")
_SCORES = (*_SERIES, "run_id", "started_at", "artifact_id", "value", "ci_low", "ci_high", "n_models")
_GATE = (
    *("run_id", "kind", "artifact_id", "baseline_artifact_id", "dataset", "gold", "base", "margin", "failed"),
    "perturbation",
)
_RULE = ("mode", "slice", "label", "metric")
_SPEED = ("run_id", "artifact_id", "backend", "workload", "batch_size", "sequence_length", "p50_s", "status")
_OF_CODE = frozenset({"code_commit", "code_dirty"})
"""Columns that change with every run and do not count as environment."""


class Point(NamedTuple):
    """One score of a series."""

    started_at: datetime
    run_id: str
    value: float
    ci_low: float | None
    ci_high: float | None
    base: float | None
    """The baseline's score, if a gate rule was about this number."""
    margin: float | None
    failed: bool
    """Whether the gate failed the model."""
    p50_s: float | None
    """Median latency of one sentence at a time."""


class Series(NamedTuple):
    """The scores of one model name against one annotation, oldest first."""

    about: Row
    """`model`, `dataset`, `split`, `gold`, `dtype`."""
    points: list[Point]
    total: int
    """Number of points before some were left out."""


class Change(NamedTuple):
    """A change of the environment between two consecutive runs."""

    started_at: datetime
    run_id: str
    """The later run."""
    columns: dict[str, dict[str, Any]]
    """By column or setting, `base` and `candidate`."""


class History(NamedTuple):
    """The scores and environments of earlier runs."""

    series: list[Series]
    changes: list[Change]
    dates: int
    """Number of logical dates read."""
    is_cut: bool
    """Whether earlier dates were left out because of FILES."""
    n_left_out: int = 0
    """Number of shown models whose series were left out because of SERIES."""


class Window(NamedTuple):
    """The logical dates to read."""

    until: str
    """The last date."""
    dates: int
    """Maximum number of dates."""


def read_history(results: str, until: str, *, dates: int = DAYS, models: Sequence[str] = ()) -> History:
    """The newest `dates` logical dates with scores, up to and including `until`.

    Reads no more than FILES files. If there are more than POINTS scores, each series keeps the minimum and the maximum
    of equal parts, and its last point. If a date has more than SERIES scores, only the series of the first SERIES of
    `models` are read. A model that was only a baseline in a run does not belong to the series of its name.
    """
    window = Window(until, dates)
    scored, is_cut, n_left_out = _scored(results, window, models)
    if not scored:
        return History([], [], 0, is_cut=False)
    first = scored[-1].date
    judged = _rows(_since(_dated(results, "gate", (*_GATE, *_RULE), window), first))
    speeds = _rows(_since(_dated(results, "speed", _SPEED, window), first))
    series = _series(_rows(scored), judged, _latencies(speeds))
    most = max(FEWEST, POINTS // max(1, len(series)))
    thinned = [one._replace(points=thin(one.points, most)) for one in series]
    runs = _rows(_since(_dated(results, "runs", READ_COLUMNS, window), first))
    run_ids = (run_id for one in scored for run_id in one.rows["run_id"].unique().to_pylist())
    changed = changes(runs, run_ids)
    return History(thinned, changed, len(scored), is_cut, n_left_out)


class _Scored(NamedTuple):
    dates: list[DatedRows]
    """Newest first."""
    is_cut: bool
    n_left_out: int


def _scored(results: str, window: Window, models: Sequence[str]) -> _Scored:
    found, budget = list[DatedRows](), Budget(FILES)
    for dated in _each_dated(results, "metrics", _SCORES, window, HEADLINE_FILTERS, budget):
        if models and dated.rows.num_rows > SERIES:
            break
        found.append(dated)
    else:
        return _Scored(found, budget.is_spent, 0)
    names, budget = list(dict.fromkeys(models)), Budget(FILES)
    filters: list[Filter] = [*HEADLINE_FILTERS, ("model", "in", names[:SERIES])]
    found = list(_each_dated(results, "metrics", _SCORES, window, filters, budget))
    return _Scored(found, budget.is_spent, max(0, len(names) - SERIES))


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """About `most` points: the minimum and maximum of equal parts, each failure, and the last point."""
    if len(points) <= most:
        return list(points)
    parts = max(1, most // 2)
    bounds = [len(points) * part // parts for part in range(parts + 1)]
    kept = {len(points) - 1, *(at for at, point in enumerate(points) if point.failed)}
    for start, end in pairwise(bounds):
        inside = range(start, end)
        kept |= {min(inside, key=lambda at: points[at].value), max(inside, key=lambda at: points[at].value)}
    return [points[at] for at in sorted(kept)]


def changes(runs: Iterable[Row], scored: Iterable[str]) -> list[Change]:
    """The runs with scores whose environment differs from that of the previous run, oldest first."""
    wanted = set(scored)
    last_attempts = {row["run_id"]: row for row in sorted(runs, key=start_order) if row["run_id"] in wanted}
    found = []
    for before, after in pairwise(sorted(last_attempts.values(), key=start_order)):
        changed = difference(before, after, "", "")
        columns = {name: pair for name, pair in changed.items() if name not in _OF_CODE}
        if columns:
            found.append(Change(after["started_at"], after["run_id"], columns))
    return found


def _dated(results: str, table: str, columns: Sequence[str], window: Window) -> list[DatedRows]:
    """The rows by date, newest first."""
    return list(_each_dated(results, table, columns, window))


def _each_dated(  # noqa: PLR0913, PLR0917 - what is read, and how much of it
    results: str,
    table: str,
    columns: Sequence[str],
    window: Window,
    filters: Sequence[Filter] = (),
    budget: Budget | None = None,
) -> Iterator[DatedRows]:
    found = read_newest_first(
        results, table, columns=columns, filters=filters or None, until=window.until, budget=budget
    )
    return islice(found, window.dates)


def _since(dated: Iterable[DatedRows], first: str) -> list[DatedRows]:
    return [one for one in dated if one.date >= first]


def _rows(dated: Iterable[DatedRows]) -> Iterator[Row]:
    return (row for one in dated for row in as_rows(one.rows))


def _series(scored: Iterable[Row], judged: Iterable[Row], latencies: Mapping[tuple[str, str], float]) -> list[Series]:
    rules = [row for row in judged if row["kind"] == "rule"]
    candidates = {(row["run_id"], row["artifact_id"]) for row in rules if _is_a_comparison(row)}
    only_bases = {(row["run_id"], row["baseline_artifact_id"]) for row in rules} - candidates
    gates = {_judged_key(row): row for row in rules if is_headline(row)}
    failed = {_judged_key(row) for row in rules if row["failed"]}
    groups: defaultdict[tuple[str, ...], list[Point]] = defaultdict(list)
    for row in scored:  # only the rows of one date are in memory
        if row["value"] is None or row["n_models"] is not None or (row["run_id"], row["artifact_id"]) in only_bases:
            continue
        key = _judged_key(row)
        gate = gates.get(key, {})
        point = Point(
            **{name: row[name] for name in ("started_at", "run_id", "value", "ci_low", "ci_high")},
            base=gate.get("base"),
            margin=gate.get("margin"),
            failed=key in failed,
            p50_s=latencies.get((row["run_id"], row["artifact_id"])),
        )
        groups[tuple(row[name] for name in _SERIES)].append(point)
    found = []
    for about, unordered in sorted(groups.items()):
        ordered = sorted(unordered, key=lambda point: (point.started_at, point.run_id))  # as `start_order`
        points = {point.run_id: point for point in ordered}
        found.append(Series(dict(zip(_SERIES, about, strict=True)), list(points.values()), len(points)))
    return found


def _is_a_comparison(row: Row) -> bool:
    """Whether a model was compared with a baseline. A model without any number may itself be the baseline of
    another."""
    return row["baseline_artifact_id"] is not None


def _judged_key(row: Row) -> tuple[str, str, str | None, str | None]:
    return row["run_id"], row["artifact_id"], row["dataset"], row["gold"]


def _latencies(speeds: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Median seconds of one sentence at a time, on real lengths, by run and artifact."""
    plain = [row for row in speeds if is_one_by_one(row) and row["p50_s"]]
    return {(row["run_id"], row["artifact_id"]): row["p50_s"] for row in sorted(plain, key=is_in_memory)}


def is_in_memory(row: Row) -> bool:
    """Whether a row of `speed` is about calls in one process; models beside taggers also have rows about a pipe."""
    return bool(row["backend"] != "process")


def is_one_by_one(row: Row) -> bool:
    """Whether a row of `speed` is about plain inference of one sentence at a time, of real lengths."""
    is_plain = row["workload"] == "inference" and row["backend"] in {None, "eager", "process"}
    return is_plain and row["batch_size"] == 1 and row["sequence_length"] is None


def predecessors(
    results: str, until: datetime, columns: Sequence[str], window: Window, scored: Collection[tuple[str, str, str]]
) -> Iterator[Row]:
    """Headline rows of complete runs that started before `until`, the newest first; reads one date at a time.

    `scored`: artifact_id, data set and annotation of the models whose predecessors are wanted. If the dates have many
    small files, only those about these are read.
    """
    runs_of = cache(partial(runs_of_date, results))

    def keys(date: str) -> set[str]:
        return {key for run_id in runs_of(date) for one in scored for key in metrics_keys(run_id, *one)}

    filters: list[Filter] = [*HEADLINE_FILTERS, ("started_at", "<", until)]
    found = read_newest_first(
        results, "metrics", columns=columns, filters=filters, until=window.until, dates=window.dates, keys=keys
    )
    for dated in found:
        ended = runs_of(dated.date)
        rows = (row for row in as_rows(dated.rows) if row["run_id"] in ended)
        yield from sorted(rows, key=start_order, reverse=True)


SHOWN = 30
"""Number of points in a trend."""
WIDTH, HEIGHT, EDGE = 96.0, 24.0, 3.0
FLAT = 0.005
"""Half a point: the minimum range of a trend, so that noise does not look like peaks."""


class Trend(NamedTuple):
    """A line of at most SHOWN scores, ready for SVG."""

    points: str
    """The points of a polyline in a box of WIDTH × HEIGHT."""
    x: float
    """The last point."""
    y: float
    words: str
    """`from 91.2 to 93.0 in 12 runs`."""


def trends(history: History) -> dict[tuple[str, ...], Trend]:
    """Trends by model, dataset, split, gold and dtype; a series with one point has none."""
    return {
        tuple(one.about.values()): _trend([point.value for point in one.points[-SHOWN:]], one.total)
        for one in history.series
        if len(one.points) > 1
    }


def _trend(values: list[float], total: int) -> Trend:
    middle, span = (max(values) + min(values)) / 2, max(FLAT, max(values) - min(values))
    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    points = [
        (round(EDGE + at * step, 1), round(HEIGHT / 2 - (HEIGHT - 2 * EDGE) * (value - middle) / span, 1))
        for at, value in enumerate(values)
    ]
    runs = f"{len(values)} runs" if total <= len(values) else f"the last {len(values)} of {total:,} runs"
    words = f"from {100 * values[0]:.1f} to {100 * values[-1]:.1f} in {runs}"
    return Trend(" ".join(f"{x},{y}" for x, y in points), *points[-1], words)


def plain_history(history: History) -> dict[str, Any]:
    """Columns of each series, times in seconds since 1970 and scores in points."""
    runs: dict[str, int] = {}
    series = [
        one.about
        | _columns(one.points)
        | {"run": [runs.setdefault(point.run_id, len(runs)) for point in one.points], "total": one.total}
        for one in history.series
    ]
    return {
        "series": series,
        "runs": list(runs),
        "dates": history.dates,
        "cut": history.is_cut,
        "left_out": history.n_left_out,
    }


def _columns(points: list[Point]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "t": [int(point.started_at.timestamp()) for point in points],
        "v": [_points(point.value) for point in points],
        "lo": [_points(point.ci_low) for point in points],
        "hi": [_points(point.ci_high) for point in points],
        "base": [_points(point.base) for point in points],
        "margin": [_points(point.margin) for point in points],
        "failed": [int(point.failed) for point in points],
        "p50": [None if point.p50_s is None else round(1e3 * point.p50_s, 3) for point in points],
    }
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)
