"""Builds a report: reads the results of some runs and renders them as one page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import write_whole
from nerbench.tasks.report import costs, error_browser, leaderboard, model_scores, provenance, suspect_list
from nerbench.tasks.report.baselines import Compared, compare, find_baselines
from nerbench.tasks.report.formats import packed
from nerbench.tasks.report.history import History, plain_history, read_history
from nerbench.tasks.report.leaderboard import Leaderboard
from nerbench.tasks.report.model_scores import ModelScores, StoredTable, read_model_scores
from nerbench.tasks.report.page import BEGINNING, Content, Packed, render
from nerbench.tasks.report.robustness import Robustness, read_robustness
from nerbench.tasks.report.user_functions import Value, compare_values
from nerbench.tasks.report.verdict_text import Verdict, find_verdict
from nerbench.tasks.results.query import SelectedRun, rows_of_run, select_runs
from nerbench.tasks.results.summary import user_metric_rows
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row

FOLDER = "reports"
"""Folder below the results."""


class Report(NamedTuple):
    """A page, and the parts of it that are used elsewhere."""

    html: str
    runs: list[SelectedRun]
    verdict: Verdict
    board: Leaderboard


class Found(NamedTuple):
    """The results that a page shows."""

    runs: list[SelectedRun]
    entries: list[ModelScores]
    compared: Mapping[int, Compared]
    """By the position of the entry."""
    measured: costs.Costs
    history: History
    verdict: Verdict
    board: Leaderboard
    functions: list[Value]
    robustness: Robustness


def build(results: str, wanted: Sequence[str] = (), *, inspection: Mapping[str, Any] | None = None) -> Report:
    """The report on some runs (ids or dates); by default, on the newest complete run with scores.

    Args:
        inspection: Facts about the corpora (`nerbench.tasks.report.page.Content.inspection`).

    Raises InputError if there is no such run, and CorruptArtifactError for a damaged table.
    """
    found = find(results, select_runs(results, wanted))
    content = _content(results, found)._replace(inspection=inspection)
    return Report(render(content), found.runs, found.verdict, found.board)


def find(results: str, runs: list[SelectedRun]) -> Found:
    """The results of some runs, and what earlier runs say about them. Raises CorruptArtifactError."""
    entries = read_model_scores(results, runs)
    judged = _rows_of(results, "gate", runs)
    baselines = find_baselines(results, entries, judged)
    compared = compare(results, entries, baselines)
    history = read_history(results, max(run.date for run in runs), models=[entry.name for entry in entries])
    measured = costs.read_costs(results, runs)
    return Found(
        runs=runs,
        entries=entries,
        compared=compared,
        measured=measured,
        history=history,
        verdict=find_verdict(entries, compared, judged, runs, has_gate=provenance.has_gate(runs)),
        board=leaderboard.build(entries, compared, judged, measured, history),
        functions=compare_values(results, _rows_of(results, "custom", runs)),
        robustness=read_robustness(_rows_of(results, "robustness", runs), runs),
    )


def write_report(run: Run, inspection: Mapping[str, Any] | None = None) -> tuple[str, Report]:
    """Write the report on a run beside its tables, replacing that of an earlier attempt. Returns its location and the
    report."""
    report = build(run.results, [run.run_id], inspection=inspection)
    root = open_root(run.results)
    path = f"{FOLDER}/{file_name(run.run_id)}"
    root.replace(path, report.html.encode())
    return root.uri(path), report


def save_report(report: Report, target: Path, *, force: bool = False) -> None:
    """Write a report to a file. Raises InputError if the target is another kind of file, unless `force` is set."""
    check_target(target, force=force)
    write_whole(target, [report.html.encode()])


def check_target(target: Path, *, force: bool = False) -> None:
    """Raise InputError if a report cannot be written to this file."""
    field = f"-o {target}"
    if target.is_dir():
        raise InputError(field, "is a folder", "name a file in it")
    if target.suffix.lower() not in {".html", ".htm"}:
        raise InputError(field, "does not end in .html", "choose another name")
    if target.exists() and not force and not _is_report(target):
        raise InputError(
            field, "exists already and is not a report", "choose another name, or overwrite it with --force"
        )


def file_name(run_id: str) -> str:
    """The file name of a run's report, which is valid on every file system."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run_id) + ".html"


def _is_report(target: Path) -> bool:
    with target.open("rb") as stream:
        return stream.read(len(BEGINNING)) == BEGINNING.encode()


def _rows_of(results: str, table: str, runs: Sequence[SelectedRun]) -> list[Row]:
    """The rows of a table from the last attempt of each run."""
    found: list[Row] = []
    for run in runs:
        rows = rows_of_run(results, table, run.run_id, run.date)
        last = max((row["attempt"] for row in rows), default=0)
        found += [row for row in rows if row["attempt"] == last]
    return found


def _content(results: str, found: Found) -> Content:
    return Content(
        runs=[provenance.provenance(run) for run in found.runs],
        verdict=found.verdict,
        board=found.board,
        own=user_metric_rows([row for entry in found.entries for row in entry.own]),
        functions=found.functions,
        robustness=found.robustness,
        repairs=provenance.repairs(found.entries),
        digests=provenance.digests(found.entries),
        changes=provenance.changes(found.history.changes),
        inspection=None,
        suspects=suspect_list.ranked(results, found.entries, text=provenance.keeps_text(found.runs)),
        packed=_packed(results, found),
    )


def _packed(results: str, found: Found) -> Packed:
    tables = {table: StoredTable(results, table) for table in ("confusion", "calibration", "errors")}
    text = provenance.keeps_text(found.runs)
    of_entries = [
        model_scores.details(entry)
        | {"confusion": model_scores.confusion(tables["confusion"], entry)}
        | {"calibration": model_scores.calibration(tables["calibration"], entry)}
        for entry in found.entries
    ]
    shown = {row.at: found.entries[row.at] for row in found.board.rows if not row.role}
    errors = error_browser.packed_errors(tables["errors"], shown, text=text)
    flips = error_browser.packed_flips(found.compared, text=text)
    return Packed(
        details=packed(of_entries),
        costs=packed({"latencies": found.measured.latencies, "sweep": found.measured.sweep}),
        history=packed(plain_history(found.history)),
        errors=errors,
        flips=flips,
        text=text,
    )
