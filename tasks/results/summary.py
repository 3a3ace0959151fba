"""The few numbers that people look at first, from rows of the result tables."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first
from nerbench.tasks.results.query import date_of_run, latency_samples
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING
from nerbench.tasks.scoring.user_metrics import CUSTOM

_SHOWN = 5


def leaderboard(metrics: Iterable[Row]) -> list[Row]:
    """One row a model, data set and annotation: strict entity scores in points, conlleval F1, and F1 by entity type."""
    found: dict[tuple[str, ...], Row] = {}
    for row in metrics:
        name = _column(row)
        if name and row["value"] is not None:
            entry = found.setdefault(
                (row["artifact_id"], row["dataset"], row["gold"]),
                {"model": row["model"], "dataset": row["dataset"], "gold": row["gold"]},
            )
            entry[name] = round(100 * row["value"], 2)

    def order(entry: Row) -> tuple[str, bool, str, float]:
        return entry["dataset"], entry["gold"] != entry["dataset"], entry["gold"], -entry.get("F1", 0.0)

    return sorted(found.values(), key=order)


def gold_differences(leaders: Sequence[Row]) -> list[Row]:
    """From rows of `leaderboard`: what each number differs by against a further gold of a data set, in points."""
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
    """What metrics of a user's own say: of counts, the strict micro and label values of all entities alone."""
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


def newest_run(results: str, run_id: str | None = None) -> RunResults:
    """The rows of a run; by default of the one with metrics that has the newest logical date, and started last on it.

    Only files of one date are read. Raises InputError where there is no such run.
    """
    night = _day_of_run(results, run_id)
    if night is None:
        raise _no_such_run(results, run_id)
    started = dict(zip(night.rows["run_id"].to_pylist(), night.rows["started_at"].to_pylist(), strict=True))
    chosen = run_id or max(started, key=lambda run: started[run])
    of_run: list[Filter] = [("run_id", "=", chosen)]
    speed, memory, custom = (_rows(results, table, of_run, night.date) for table in ("speed", "memory", "custom"))
    return RunResults(chosen, night.rows.filter(pc.field("run_id") == chosen).to_pylist(), speed, memory, custom)


def _rows(results: str, table: str, filters: Sequence[Filter], date: str) -> list[Row]:
    dated = next(read_newest_first(results, table, filters=filters, date=date), None)
    return dated.rows.to_pylist() if dated else []


def _day_of_run(results: str, run_id: str | None) -> DatedRows | None:
    """The metrics of the newest date, or those of a run."""
    if run_id is None:
        return next(read_newest_first(results, "metrics"), None)
    of_run: list[Filter] = [("run_id", "=", run_id)]
    return next(read_newest_first(results, "metrics", filters=of_run, date=date_of_run(results, run_id)), None)


def _no_such_run(results: str, run_id: str | None) -> InputError:
    nights = islice(read_newest_first(results, "metrics", columns=["run_id"]), _SHOWN)
    known = sorted({run for night in nights for run in night.rows["run_id"].to_pylist()})
    if known:
        return InputError("--run", f"{run_id} has no metrics", f"choose among {', '.join(known[-_SHOWN:])}")
    return InputError(f"results {results}", "hold no metrics yet", "run `nerbench run` or `nerbench benchmark` first")


def speed_and_memory(speed: Iterable[Row], memory: Iterable[Row]) -> list[Row]:
    """One row a model: latency percentiles in milliseconds, words a second, load time, memory in MB."""
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
    peak, baseline = row["peak_rss_bytes"], row["baseline_rss_bytes"]
    return {
        "load s": row["load_s"],
        "weights MB": row["weights_bytes"] and row["weights_bytes"] / 1e6,
        "peak over baseline MB": (peak - baseline) / 1e6 if peak and baseline else None,
    }
