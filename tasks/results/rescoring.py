"""Adds scores to earlier runs: which predictions they scored, and new rows that leave existing ones unchanged."""

from collections.abc import Iterable, Sequence

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import InputError, collected
from nerbench.artifacts.tables.table_files import checked_date
from nerbench.artifacts.tables.tables import Filter, read_newest_first, table_key, write_table
from nerbench.tasks.config import Section
from nerbench.tasks.results.rows import metric_rows
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, stored

SAME = ("slice", "level", "mode", "label", "average", "metric", "parameters", "source")
"""The columns that identify a number of one model, run and annotation."""
_OF_PREDICTIONS = tuple(name for name in Predicted.model_fields if name != "uri")


class ScoredPredictions(Section):
    """Predictions, and every run with scores from them."""

    about: dict[str, str | int | None]
    """The columns of `metrics` that identify them."""
    runs: tuple[Run, ...]
    """Newest first."""

    @property
    def name(self) -> str:
        """`tiny on own`."""
        return f"{self.about['model']} on {self.about['dataset']}"

    @property
    def predicted(self) -> Predicted:
        """The location of the predictions. Raises InputError if their file is gone."""
        return stored(self.runs[0].results, self.about)


def scored_predictions(results: str, since: str | None) -> list[ScoredPredictions]:
    """All predictions that runs on and after this logical date (YYYY-MM-DD) scored; means over seeds have none.

    Raises InputError if there are none, and for an invalid date.
    """
    first = "" if since is None else checked_date(since)
    columns = ["run_id", "started_at", "attempt", *_OF_PREDICTIONS]
    found: dict[tuple[str, ...], tuple[Row, dict[str, Run]]] = {}
    for dated in read_newest_first(results, "metrics", columns=[*columns, "n_models"]):
        if dated.date < first:
            break
        for row in dated.rows.group_by([*columns, "n_models"], use_threads=False).aggregate([]).to_pylist():
            if row["n_models"] is None and row["predictions_digest"]:
                key = tuple(row[name] for name in _OF_PREDICTIONS)
                of_run = {name: row[name] for name in ("run_id", "started_at", "attempt")}
                runs = found.setdefault(key, (row, {}))[1]
                runs.setdefault(row["run_id"], Run(flow="", date=dated.date, results=results, **of_run))
    if not found:
        when = f" since {since}" if since else ""
        raise InputError(f"results {results}", f"hold no scores{when}", "run `nerbench benchmark` first")
    return [
        ScoredPredictions(about={name: row[name] for name in _OF_PREDICTIONS}, runs=tuple(runs.values()))
        for row, runs in found.values()
    ]


def write_missing(run: Run, predicted: Predicted, rows: Iterable[Row]) -> tuple[str | None, list[Row]]:
    """Add to a run's `metrics` the rows whose numbers it lacks. Returns their location and the rows.

    A number is also added if the run only has the reason why it was missing; that row stays, too. Raises
    CorruptArtifactError if a file of that date is damaged.
    """
    same = ("artifact_id", "dataset", "gold")
    filters: list[Filter] = [("run_id", "=", run.run_id), *((name, "=", getattr(predicted, name)) for name in same)]
    columns = [*SAME, "status"]
    with collected() as problems:
        dated = next(read_newest_first(run.results, "metrics", columns=columns, filters=filters, date=run.date), None)
    for problem in problems.values():  # an unreadable file may have these rows already
        raise problem
    there = [] if dated is None else dated.rows.to_pylist()
    known, computed = {_key(row) for row in there}, {_key(row) for row in there if _is_computed(row)}
    new = (row for row in rows if _key(row) not in (computed if _is_computed(row) else known))
    missing = metric_rows(run, predicted, new)
    if not missing:
        return None, []
    digest = sha256_hex(canonical_json([[*_key(row), row["status"]] for row in missing]))
    key = table_key(run.run_id, "later", predicted.artifact_id, predicted.dataset, predicted.gold, digest)
    return write_table(run.results, "metrics", missing, date=run.date, key=key), missing


def _is_computed(row: Row) -> bool:
    return row["status"] in {"ok", "undefined"}


def _key(row: Row) -> Sequence[str | None]:
    return tuple(row.get(name) for name in SAME)
