"""Summaries of a run: the leaderboard, differences between annotations, custom metrics, speed and memory."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.tables import Filter, read_newest_first
from nerbench.tasks.results.query import (
    date_of_run,
    latency_samples,
    newest_scored_run,
    no_such_run,
    rows_of_run,
    start_order,
    used_memory,
)
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING
from nerbench.tasks.scoring.user_metrics import CUSTOM


def leaderboard(metrics: Iterable[Row]) -> list[Row]:
    """One row per model, data set and annotation: strict entity scores in points, conlleval F1, and F1 by entity
    type."""
    found: dict[tuple[str, ...], Row] = {}
    for row in metrics:
        name = _column(row)
        if name and row["value"] is not None:
            entry = found.setdefault(
                (row["artifact_id"], row["dataset"], row["gold"]),
                {"model": row["model"], "dataset": row["dataset"], "gold": row["gold"]},
            )
            entry[name] = _points(row["value"])

    def order(entry: Row) -> tuple[str, bool, str, float]:
        return entry["dataset"], entry["gold"] != entry["dataset"], entry["gold"], -entry.get("F1", 0.0)

    return sorted(found.values(), key=order)


def scores_by_label(metrics: Iterable[Row]) -> list[Row]:
    """One row per model, data set, annotation and entity type, and one per average over the types, which come last.

    Each row has strict scores in points, the confidence interval of F1, and the number of annotated entities.
    """
    names = {"precision": "precision", "recall": "recall", "f1": "F1"}
    found: dict[tuple[str | bool, ...], Row] = {}
    for row in metrics:
        if (row["level"], row["slice"], row["mode"]) != ("entity", EVERYTHING, "strict") or row["metric"] not in names:
            continue
        is_average = row["label"] == OVERALL
        label = f"{row['average']} average" if is_average else row["label"]
        place = (row["dataset"], row["gold"] != row["dataset"], row["gold"], row["model"], row["artifact_id"])
        entry = found.setdefault(
            (*place, is_average, label), {name: row[name] for name in ("model", "dataset", "gold")} | {"label": label}
        )
        entry[names[row["metric"]]] = _points(row["value"])
        if row["metric"] == "f1":
            entry |= {"F1 from": _points(row["ci_low"]), "F1 to": _points(row["ci_high"]), "entities": row["support"]}
    ordered = sorted(found, key=lambda key: key[:6])
    return [found[key] for key in ordered]


RUN_COLUMNS = ("run_id", "started_at", "flow", "outcome", "total_s", "evaluated", "cached", "code_commit", "failures")
"""The columns of `runs` that a list of runs has."""


def newest_runs(results: str, most: int, since: str | None = None) -> list[Row]:
    """The last attempts of at most so many runs, the newest first, with RUN_COLUMNS. `since`: the first logical date.

    Reads no more dates than it needs. Raises InputError if there is no run.
    """
    found: dict[str, Row] = {}
    for dated in read_newest_first(results, "runs", columns=RUN_COLUMNS):
        if len(found) >= most or (since and dated.date < since):
            break
        for row in sorted(as_rows(dated.rows), key=start_order, reverse=True):
            found.setdefault(row["run_id"], row)
    if not found:
        problem = f"hold no run since {since}" if since else "hold no run"
        raise InputError(f"results {results}", problem, "run `nerbench run` or `nerbench benchmark` first")
    return list(found.values())[:most]


def _points(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def gold_differences(leaders: Sequence[Row]) -> list[Row]:
    """From rows of `leaderboard`: the differences of each number between a further annotation and the data set's
    own."""
    own = {(row["model"], row["dataset"]): row for row in leaders if row["gold"] == row["dataset"]}
    return [
        {
            name: round(value - before[name], 2) if isinstance(value, float) else value
            for name, value in row.items()
            if not isinstance(value, float) or name in before
        }
        for row in leaders
        if row["gold"] != row["dataset"] and (before := own.get((row["model"], row["dataset"])))
    ]


def _column(row: Row) -> str | None:
    if row["level"] != "entity" or row["slice"] != EVERYTHING:
        return None
    if row["label"] != OVERALL:
        return row["label"] if (row["mode"], row["metric"]) == ("strict", "f1") else None
    if row["average"] != "micro":
        return None
    return {
        ("strict", "precision"): "precision",
        ("strict", "recall"): "recall",
        ("strict", "f1"): "F1",
        ("conlleval", "f1"): "conlleval",
    }.get((row["mode"], row["metric"]))


def user_metric_rows(metrics: Iterable[Row]) -> list[Row]:
    """The values of custom metrics; of metrics over counts, only strict micro and label values of all entities."""
    return [
        {name: row[name] for name in ("model", "dataset", "gold", "metric", "label", "parameters", "value", "reason")}
        for row in metrics
        if row.get("source")
        and row["slice"] == EVERYTHING
        and row["mode"] in {"strict", CUSTOM}
        and row["average"] in {"", "micro"}
    ]


class RunResults(NamedTuple):
    """The rows of one run."""

    run_id: str
    metrics: list[Row]
    speed: list[Row]
    memory: list[Row]
    custom: list[Row]


LEADERBOARD_FILTERS: tuple[Filter, ...] = (
    ("level", "=", "entity"),
    ("slice", "=", EVERYTHING),
    ("mode", "in", ("strict", "conlleval")),
)
"""The rows of `metrics` that `leaderboard` needs."""


def read_run(results: str, run_id: str | None = None, filters: Sequence[Filter] = ()) -> RunResults:
    """The rows of a run, complete or not; by default of the newest complete run with metrics. `filters`: of metrics.

    Reads only files of one date. Raises InputError if there is no such run.
    """
    if run_id is None:
        newest = newest_scored_run(results, columns=["run_id"])
        if newest is None:
            raise no_such_run(results, run_id)
        chosen, date = newest.run_id, newest.date
        metrics = rows_of_run(results, "metrics", chosen, date, filters)
    else:
        of_date = date_of_run(results, run_id)
        metrics = rows_of_run(results, "metrics", run_id, of_date, filters)
        known = metrics or rows_of_run(results, "metrics", run_id, of_date)
        if not known:
            raise no_such_run(results, run_id)
        chosen, date = run_id, str(known[0]["run_date"])
    others = (rows_of_run(results, table, chosen, date) for table in ("speed", "memory", "custom"))
    return RunResults(chosen, metrics, *others)


def speed_and_memory(speed: Iterable[Row], memory: Iterable[Row]) -> list[Row]:
    """One row per model: latency percentiles in milliseconds, words per second, load time, memory in MB."""
    used = {(row["artifact_id"], row.get("backend")): row for row in latency_samples(memory)}
    samples = [row for row in latency_samples(speed) if row["status"] == "ok"]
    has_price = any(row.get("price_per_call") is not None for row in samples)
    has_taggers = any(row.get("backend") == "process" for row in samples)
    return [
        {
            "model": row["model"],
            "device": row["device"],
            "dtype": row["dtype"],
            **({"backend": row["backend"]} if has_taggers else {}),
            "p50 ms": 1e3 * row["p50_s"],
            "p90 ms": row["p90_s"] and 1e3 * row["p90_s"],
            "words/s": round(row["words_per_s"]),
            **({"cost per 1M words": row.get("cost_per_million_words")} if has_price else {}),
            **_memory_columns(used.get((row["artifact_id"], row.get("backend")))),
        }
        for row in samples
    ]


def _memory_columns(row: Row | None) -> Row:
    if row is None:
        return {}
    used = used_memory(row)
    return {
        "load s": row["load_s"],
        "weights MB": row["weights_bytes"] and row["weights_bytes"] / 1e6,
        "peak over baseline MB": None if used is None else used / 1e6,
    }
