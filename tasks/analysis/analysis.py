"""The analyses of one model's predictions against one annotation; their tables are written once."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nerbench.artifacts.tables.schemas import IDENTITY
from nerbench.artifacts.tables.tables import date_of, find_once, write_table
from nerbench.tasks.analysis.calibration import Calibration, calibration
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
    calibrated = cache(lambda: calibration(parts()))  # for the table, the metrics or both
    tables = write_analysis(run, predicted.identity, parts, calibrated, found_at=date_of(predicted.uri))
    return Analysed(tables, metric_rows(run, predicted, calibration_rows(calibrated, benchmark)))


def calibration_rows(calibrated: Callable[[], Calibration], benchmark: BenchmarkConfig) -> list[Row]:
    """The calibration as rows of `metrics` for the configured labels. The tag of these metrics is `builtin`."""
    if benchmark.tags and "builtin" not in benchmark.tags:
        return []
    return [
        row for row in calibrated().metrics if benchmark.labels == "all" or row["label"] in {OVERALL, *benchmark.labels}
    ]


def write_analysis(
    run: Run,
    identity: Mapping[str, str],
    read_parts: Callable[[], Parts],
    calibrated: Callable[[], Calibration],
    *,
    found_at: str,
) -> dict[str, str]:
    """Write `confusion`, `errors` and `calibration`, unless an earlier run did. Returns their locations by table.

    `identity` has the columns in `IDENTITY` of `artifacts/tables/schemas.py`; each call of `read_parts` gives the
    corpus from its start, and `calibrated` gives its calibration. `found_at` is the date of the predictions, at which
    the run that wrote them also wrote these tables. Predictions without scores have no `calibration`.
    """
    analyses: dict[str, Callable[[], pa.Table | list[Row] | None]] = {
        "confusion": lambda: confusion(read_parts()),
        "errors": lambda: errors(read_parts()),
        "calibration": lambda: _table_rows(calibrated()),
    }
    key = predictions_key(identity)
    written = {}
    for table, analysis in analyses.items():
        location = find_once(run.results, table, key, date=found_at)
        if location is None and (rows := analysis()) is not None:
            location = write_table(run.results, table, _identified(rows, identity), date=run.date, key=key)
        if location:
            written[table] = location
    return written


def _table_rows(found: Calibration) -> list[Row] | None:
    """None without scores: a file without rows would prevent later rows from being written."""
    return None if found.reason else found.rows


def _identified(rows: pa.Table | list[Row], identity: Mapping[str, str]) -> pa.Table | list[Row]:
    if isinstance(rows, list):
        return [{name: identity[name] for name in IDENTITY} | row for row in rows]
    same = np.zeros(rows.num_rows, np.int32)
    for name in IDENTITY:
        rows = rows.append_column(name, pa.DictionaryArray.from_arrays(same, [identity[name]]))
    return rows
