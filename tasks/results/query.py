"""Questions to the result tables: which run is the newest or selected, and which row has a number.

A run is complete if it has a row in `runs`, which is written last. Cards, comparisons, summaries and reports ask here.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from math import isfinite
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.parquet_bounds import matching
from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import HEADLINE, Row
from nerbench.tasks.scoring.slices import EVERYTHING

HEADLINE_FILTERS: tuple[Filter, ...] = tuple((name, "=", value) for name, value in HEADLINE.items())
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SHOWN = 5
_ASIDE = frozenset({"curve"})
"""Flows whose runs do not replace earlier runs as the newest one."""
_IS = {"workload": ("inference",), "backend": ("eager", "process"), "batch_size": (1,), "sequence_length": ()}
_ABOUT = ("run_id", "artifact_id", "device", "dtype", "backend", "status")


class EndedRun(NamedTuple):
    """The rows of one complete run in a table."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    row: Row
    """The row in `runs` of its last attempt."""
    rows: pa.Table
    """Its rows in the table."""


class SelectedRun(NamedTuple):
    """A complete run with scores."""

    run_id: str
    date: str
    """Its logical date, YYYY-MM-DD."""
    started_at: datetime
    row: Row
    """Its row in `runs`, of its last attempt."""


def newest_run(results: str, dates: Iterable[DatedRows], *, besides: Collection[str] = ()) -> EndedRun | None:
    """The complete run that started last on the first date with one; None if there is none.

    `dates` are rows of a table, the newest date first, with `run_id`. A run of one of the flows `besides` counts only
    if no date has another run.
    """
    aside = None
    for dated in dates:
        ended = ended_runs(results, dated)
        others = [row for row in ended if row.get("flow") not in besides]
        if others:
            return _ended(dated, others[-1])
        if ended and aside is None:
            aside = _ended(dated, ended[-1])
    return aside


def _ended(dated: DatedRows, row: Row) -> EndedRun:
    return EndedRun(row["run_id"], dated.date, row, matching(dated.rows, [("run_id", "=", row["run_id"])]))


def newest_scored_run(
    results: str, *, columns: Sequence[str] | None = None, date: str | None = None
) -> EndedRun | None:
    """The newest complete run with scores, of all dates or of one: what all commands call the newest run.

    A learning curve scores models that no other run has, so it counts only if no other run exists.
    """
    return newest_run(results, read_newest_first(results, "metrics", columns=columns, date=date), besides=_ASIDE)


def ended_runs(results: str, dated: DatedRows) -> list[Row]:
    """The rows in `runs` of the complete runs in `dated` (which needs a `run_id`), ordered by start time."""
    runs = next(read_newest_first(results, "runs", date=dated.date), None)
    there = set(dated.rows["run_id"].to_pylist())
    return sorted((row for row in as_rows(runs.rows) if row["run_id"] in there), key=start_order) if runs else []


def start_order(row: Row) -> tuple[datetime, str]:
    """The key by which runs are ordered: by start time, then by id."""
    return row["started_at"], row["run_id"]


def select_runs(results: str, wanted: Sequence[str] = ()) -> list[SelectedRun]:
    """The complete runs with scores that are wanted, the newest first; by default the newest one.

    A run is named by its id; a date means its newest run. Raises InputError if there is no such run.
    """
    named: Sequence[str | None] = wanted or [None]
    found = {run.run_id: run for run in (_find(results, one) for one in named)}
    return sorted(found.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)


def _find(results: str, wanted: str | None) -> SelectedRun:
    columns = ["run_id", "started_at"]
    if wanted is None or _DATE.fullmatch(wanted):
        found = newest_scored_run(results, columns=columns, date=wanted)
    else:
        named: list[Filter] = [("run_id", "=", wanted)]
        date = date_of_run(results, wanted)
        found = newest_run(results, read_newest_first(results, "metrics", columns=columns, filters=named, date=date))
    if found is None:
        raise no_such_run(results, wanted)
    return SelectedRun(found.run_id, found.date, pc.max(found.rows["started_at"]).as_py(), found.row)


def no_such_run(results: str, wanted: str | None) -> InputError:
    """The error about a run without scores, which names runs to choose from."""
    known: list[str] = []
    for dated in read_newest_first(results, "metrics", columns=["run_id"]):
        known += sorted({row["run_id"] for row in ended_runs(results, dated)})
        if len(known) >= _SHOWN:
            break
    if wanted is None or not known:
        remedy = "run `nerbench run` or `nerbench benchmark` first"
        return InputError(f"results {results}", "hold no scores of a complete run", remedy)
    remedy = f"choose among {', '.join(known[:_SHOWN])}, or see `nerbench results runs`"
    return InputError(f"run {wanted!r}", "has no scores", remedy)


def date_of_run(results: str, run_id: str) -> str | None:
    """The logical date of a run, from the small table of runs, so that the scores of other dates need not be read."""
    found = next(read_newest_first(results, "runs", columns=["run_id"], filters=[("run_id", "=", run_id)]), None)
    return found.date if found else None


def rows_of_run(results: str, table: str, run_id: str, date: str | None, filters: Sequence[Filter] = ()) -> list[Row]:
    """A run's rows in a table, of all attempts; without its logical date, all dates are searched."""
    named: list[Filter] = [("run_id", "=", run_id), *filters]
    found = next(read_newest_first(results, table, filters=named, date=date), None)
    return as_rows(found.rows) if found else []


def runs_of_date(results: str, date: str) -> dict[str, Row]:
    """The rows in `runs` of the complete runs of a logical date, of their last attempts, by id."""
    runs = next(read_newest_first(results, "runs", date=date), None)
    return {row["run_id"]: row for row in sorted(as_rows(runs.rows) if runs else [], key=start_order)}


def is_headline(row: Row) -> bool:
    """Whether a row is about the headline number of the clean split; differences have no perturbation."""
    return row.get("perturbation") is None and all(
        row[name] == value for name, value in HEADLINE.items() if name in row
    )


def score_in_words(row: Row) -> str:
    """`F1 84.2 (95\u00a0%\u00a0CI 81.0…87.1)`: the headline number in points, with its interval if it has one."""
    score = f"F1 {100 * row['value']:.1f}"
    if row["ci_low"] is None:
        return score
    ends = f"{100 * row['ci_low']:.1f}…{100 * row['ci_high']:.1f}"
    return f"{score} ({100 * row['confidence']:.0f}\u00a0%\u00a0CI {ends})"


def place_of(row: Row) -> str:
    """The data set, with the perturbation if there is one, and the annotation if it is not the data set's own."""
    dataset, gold = row["dataset"] or "", row["gold"] or ""
    perturbed = f" ({row['perturbation']})" if row.get("perturbation") else ""
    return f"{dataset}{perturbed}" if gold in {"", dataset} else f"{dataset} against {gold}"


class NumberKey(NamedTuple):
    """The key of a number in `metrics` for one model and annotation."""

    level: str
    mode: str
    slice: str
    label: str
    average: str
    metric: str


@cache
def number_key(metric: str = "f1", **wanted: str) -> NumberKey:
    """The key of a number; by default strict, overall, of all entities, and the micro average."""
    mode, label = wanted.get("mode", "strict"), wanted.get("label", OVERALL)
    level = "token" if mode == "tag" else "entity"
    average = wanted.get("average", "micro" if label == OVERALL else "")
    return NumberKey(level, mode, wanted.get("slice", EVERYTHING), label, average, metric)


def index_numbers(rows: Iterable[Row]) -> dict[NumberKey, Row]:
    """Rows of one model and annotation by key. A number that was added later replaces the reason why it was missing."""
    found: dict[NumberKey, Row] = {}
    for row in rows:
        key = NumberKey(*(row[name] or "" for name in NumberKey._fields))
        if key not in found or found[key]["value"] is None:
            found[key] = row
    return found


def used_memory(row: Row) -> int | None:
    """The bytes that a row of `memory` adds to its baseline: on the accelerator, otherwise resident. None: unknown."""
    peak, baseline = row.get("peak_rss_bytes"), row.get("baseline_rss_bytes")
    resident = peak - baseline if peak and baseline else None
    on_device: int | None = row.get("peak_device_bytes")
    return resident if on_device is None else on_device


def latency_samples(rows: Iterable[Row]) -> list[Row]:
    """The rows of the latency sample among rows of sweeps: the first per model, device and dtype of a run.

    Tables from before there were sweeps lack columns; their rows are the sample.
    """
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if all(row.get(name) in (*values, None) for name, values in _IS.items()):
            found.setdefault(tuple(row.get(name) for name in _ABOUT), row)
    return list(found.values())


PROBABLE = 0.0
"""The score from which an annotation is more likely wrong than right."""


def newest_suspects(results: str, words_sha256: str, gold_sha256: str) -> list[Row]:
    """The rows of the newest ranking of an annotation, the most suspect first; empty if there is none.

    Raises CorruptArtifactError for a row whose values do not fit together.
    """
    wanted: list[Filter] = [("words_sha256", "=", words_sha256), ("gold_sha256", "=", gold_sha256)]
    found = next(read_newest_first(results, "suspects", filters=wanted), None)
    rows = found.rows.to_pylist() if found else []
    newest = max((row["started_at"] for row in rows), default=None)
    ranked = sorted((row for row in rows if row["started_at"] == newest), key=lambda row: row["position"])
    for row in ranked:
        if not _fits_together(row):
            problem = f"suspect {row['position']} of {row['dataset']} in {results} has values that do not fit together"
            raise CorruptArtifactError(f"{problem}; rank again with `nerbench suspects`")
    return ranked


def _fits_together(row: Row) -> bool:
    """Whether a row of `suspects` has a score, regions that are not empty, and lists of equal length."""
    sides = [[row[f"{side}_{part}"] for part in ("start", "end", "label")] for side in ("gold", "proposed")]
    of_models = [row[name] for name in ("models", "seeds", "opinions", "confidences")]
    groups = [*sides, of_models]
    if any(None in group or len({len(one) for one in group}) != 1 for group in groups):
        return False
    spans = [(row["start"], row["end"], ""), *(span for side in sides for span in zip(*side, strict=True))]
    has_score = row["score"] is not None and isfinite(row["score"])
    return has_score and all(None not in span and 0 <= span[0] < span[1] for span in spans)
