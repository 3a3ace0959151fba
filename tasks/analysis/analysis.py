"""The analyses of one model's predictions against one annotation; their tables are written once."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nerbench.artifacts.tables.schemas import IDENTITY
from nerbench.artifacts.tables.tables import date_of, find_once, write_table
from nerbench.tasks.analysis.calibration import calibration
from nerbench.tasks.analysis.errors import confusion, errors
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.results.rows import metric_rows
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key, read_predictions
from nerbench.tasks.scoring.tagged_words import TaggedWords

Parts = Iterable[TaggedWords]


class Analysed(NamedTuple):
    """The results of the analyses of one model's predictions."""

    tables: dict[str, str]
    """Location by table."""
    metrics: list[Row]
    """Rows of `metrics`: the calibration."""


def analyse(run: Run, predicted: Predicted, benchmark: BenchmarkConfig) -> Analysed:
    """Analyse stored predictions. Their tables are written once; the numbers belong to each run.

    Raises CorruptArtifactError if the file is not the one that was written.
    """
    file = read_predictions(run.results, predicted.uri)
    parts = partial(file.parts, text=benchmark.text == "keep")
    tables = write_analysis(run, predicted.identity, parts, found_at=date_of(predicted.uri))
    return Analysed(tables, metric_rows(run, predicted, calibration_rows(parts, benchmark)))


def calibration_rows(read_parts: Callable[[], Parts], benchmark: BenchmarkConfig) -> list[Row]:
    """The calibration as rows of `metrics` for the configured labels. The tag of these metrics is `builtin`."""
    if benchmark.tags and "builtin" not in benchmark.tags:
        return []
    rows = calibration(read_parts()).metrics
    return [row for row in rows if benchmark.labels == "all" or row["label"] in {OVERALL, *benchmark.labels}]


def write_analysis(
    run: Run, identity: Mapping[str, str], read_parts: Callable[[], Parts], *, found_at: str
) -> dict[str, str]:
    """Write `confusion`, `errors` and `calibration`, unless an earlier run did. Returns their locations by table.

    `identity` has the columns in `IDENTITY` of `artifacts/tables/schemas.py`; each call of `read_parts` gives the
    corpus from its start. `found_at` is the date of the predictions, at which the run that wrote them also wrote these
    tables. Predictions without scores have no `calibration`.
    """
    key = predictions_key(identity)
    written = {}
    for table, made_of in ANALYSES.items():
        location = find_once(run.results, table, key, date=found_at)
        if location is None and (rows := made_of(read_parts())) is not None:
            location = write_table(run.results, table, _identified(rows, identity), date=run.date, key=key)
        if location:
            written[table] = location
    return written


def _calibrated(parts: Parts) -> list[Row] | None:
    """None without scores: a file without rows would prevent later rows from being written."""
    found = calibration(parts)
    return None if found.reason else found.rows


ANALYSES: dict[str, Callable[[Parts], pa.Table | list[Row] | None]] = {
    "confusion": confusion,
    "errors": errors,
    "calibration": _calibrated,
}


def _identified(rows: pa.Table | list[Row], identity: Mapping[str, str]) -> pa.Table | list[Row]:
    if isinstance(rows, list):
        return [{name: identity[name] for name in IDENTITY} | row for row in rows]
    same = np.zeros(rows.num_rows, np.int32)
    for name in IDENTITY:
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(same, [identity[name]]))
    return rows
