"""Complete rows of the result tables, with the columns that identify model, corpus and run."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date as calendar_date
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nerbench.artifacts.digests import canonical_json
from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import as_rows
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import (
    date_of,
    find_once,
    find_table_file,
    read_table_file,
    table_key,
    write_table,
)
from nerbench.tasks.config import BenchmarkConfig, Config
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.environment import environment, machine
from nerbench.tasks.inference.evaluation_cache import Evaluated, keep_date
from nerbench.tasks.inference.tagger_evaluation import PARSE_FAILURES
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score_predictions import (
    CountedPredictions,
    NamedPredictions,
    count_predictions,
    name_predictions,
)
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key
from nerbench.tasks.scoring.user_metrics import CUSTOM

Group = tuple[str, ...]
"""What identifies rows that an attempt of a run has all or none of."""


def metric_rows(run: Run, predicted: Predicted, scored: Iterable[Row]) -> list[Row]:
    """The `metrics` rows of one model for one annotation."""
    known = run.columns | predicted.model_dump(exclude={"uri"}) | {"aggregation": "model"}
    return [known | row for row in scored]


def write_metrics(run: Run, predicted: Predicted, rows: Sequence[Row]) -> str:
    """Write the `metrics` rows of one model on one data set, for all annotations. Returns the location.

    `predicted`: the predictions scored against any of the annotations, as for the next functions. Raises ConflictError
    if an earlier attempt wrote other rows.
    """
    return _write_metrics(run, rows, *_parts("metrics", predicted))


def complete_metrics(run: Run, predicted: Predicted, rows: Sequence[Row]) -> list[str]:
    """Like `write_metrics`, but an earlier attempt may have lacked some annotations. Returns the locations."""
    return _complete(run, rows, *_parts("metrics", predicted))


class Stored(NamedTuple):
    """A file of a table, and its rows."""

    uri: str
    rows: list[Row]


def write_user_metrics(run: Run, predicted: Predicted, rows: Sequence[Row]) -> list[Stored]:
    """Write the rows of custom metrics. Returns what is stored.

    Rows of an earlier attempt stay, because a metric that times the model differs each time.
    """
    return _keep_all(run, "metrics", rows, *_parts("own", predicted))


def _keep_all(run: Run, table: str, rows: Sequence[Row], *parts: str) -> list[Stored]:
    """The rows in a file of the first attempt, and one for each group that it lacked. Written rows stay."""
    group_of = _function if table == "custom" else _annotation
    first = _keep(run, table, rows, *parts)
    added = _added(rows, set(map(group_of, first.rows)), group_of)
    return [first, *(_keep(run, table, found, *parts, *group) for group, found in added.items())]


def _keep(run: Run, table: str, rows: Sequence[Row], *parts: str) -> Stored:
    """The rows in a file, which is written unless an earlier attempt wrote it."""
    key = table_key(run.run_id, *parts)
    if uri := find_table_file(run.results, table, key, run.date):
        return Stored(uri, as_rows(read_table_file(run.results, table, key, date=run.date)))
    return Stored(write_table(run.results, table, list(rows), date=run.date, key=key), list(rows))


def _parts(what: str, predicted: Predicted) -> tuple[str, ...]:
    return what, predicted.artifact_id, predicted.dataset


def _write_metrics(run: Run, rows: Sequence[Row], *parts: str) -> str:
    return write_table(run.results, "metrics", list(rows), date=run.date, key=table_key(run.run_id, *parts))


def _annotation(row: Row) -> Group:
    return row["dataset"], row["gold"]


def _function(row: Row) -> Group:
    """A benchmark function, which may return several numbers, and the annotation that it was called for."""
    return row.get("dataset") or "", row.get("gold") or "", row["name"].partition(".")[0]


def _scores(row: Row) -> Group:
    """An annotation, and whether the metric is a custom one, because those may fail as a whole for a model."""
    return *_annotation(row), *([CUSTOM] if row["level"] == CUSTOM else ())


def _complete(run: Run, rows: Sequence[Row], *parts: str) -> list[str]:
    """Write rows to one file. Groups that an earlier attempt lacked get a file each, because written files never
    change."""
    try:
        return [_write_metrics(run, rows, *parts)]
    except ConflictError:
        earlier, now = _groups_of(run, parts), set(map(_scores, rows))
        if earlier == now:
            raise
    first: str | None
    if earlier < now:
        first = _write_metrics(run, [row for row in rows if _scores(row) in earlier], *parts)
    else:  # this attempt lacks a group of the earlier one, so their rows cannot be compared
        first = find_table_file(run.results, "metrics", table_key(run.run_id, *parts), run.date)
    added = _added(rows, earlier, _scores)
    return [*filter(None, [first]), *(_write_metrics(run, found, *parts, *group) for group, found in added.items())]


def _added(rows: Sequence[Row], earlier: Collection[Group], group_of: Callable[[Row], Group]) -> dict[Group, list[Row]]:
    """The rows of each group that is not one of the `earlier` ones."""
    added: dict[Group, list[Row]] = {}
    for row in rows:
        if group_of(row) not in earlier:
            added.setdefault(group_of(row), []).append(row)
    return added


def _groups_of(run: Run, parts: Sequence[str]) -> set[Group]:
    """The groups whose rows are in the file of an earlier attempt."""
    written = read_table_file(run.results, "metrics", table_key(run.run_id, *parts), date=run.date)
    return set(map(_scores, written.select(["dataset", "gold", "level"]).to_pylist()))


def write_perturbed_metrics(run: Run, clean: Predicted, rows: Sequence[Row]) -> str:
    """Write the `metrics` rows of one model on all perturbations of one data set. Returns the location."""
    key = table_key(run.run_id, "perturbed", clean.artifact_id, clean.dataset)
    return write_table(run.results, "metrics", list(rows), date=run.date, key=key)


def write_robustness(run: Run, clean: Predicted, rows: Sequence[Row]) -> str:
    """Write the `robustness` rows of one model on one data set. Returns the location."""
    key = table_key(run.run_id, "robustness", clean.artifact_id, clean.dataset)
    return write_table(run.results, "robustness", [run.columns | row for row in rows], date=run.date, key=key)


def write_custom(run: Run, artifact_id: str | None, rows: Sequence[Row]) -> list[Stored]:
    """Write the rows of benchmark functions for one model, or for none. Returns what is stored.

    Rows of an earlier attempt stay, because durations differ each time.
    """
    return _keep_all(run, "custom", rows, "custom", artifact_id or "")


def write_gate(run: Run, name: str, rows: Sequence[Row]) -> str:
    """Write the verdicts of the gate for one model, or for unchanged models. Returns the location.

    Each attempt has its own file: if an earlier one moved the alias, the baseline is now another one.
    """
    key = table_key(run.run_id, "gate", name, str(run.attempt))
    return write_table(run.results, "gate", [run.columns | row for row in rows], date=run.date, key=key)


def write_training(run: Run, artifact: ArtifactRef, provenance: Provenance) -> str:
    """Write the loss and validation curve of a trained model. Returns the location."""
    known = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "artifact_id": artifact.artifact_id,
        "model": artifact.name,
        "seed": provenance.seed,
    }
    declared = {column.name for column in TABLES["training"].columns}
    curve = [{name.replace("eval_", "validation_"): value for name, value in e.items()} for e in provenance.loss_curve]
    rows = [known | {name: value for name, value in entry.items() if name in declared} for entry in curve]
    key = table_key(run.run_id, "training", artifact.artifact_id)
    return write_table(run.results, "training", rows, date=run.date, key=key)


def write_seeds(run: Run, name: str, rows: Sequence[Row]) -> list[str]:
    """Write the `metrics` rows with means over the seeds of one model. Returns the locations."""
    return _complete(run, rows, "metrics", "seeds", name)


def write_predictions(run: Run, named: NamedPredictions, benchmark: BenchmarkConfig) -> Predicted:
    """Write the `predictions` of a model for one annotation, unless an earlier run did. Returns their identity."""
    artifact, corpus, record = named.evaluated
    about = {
        "artifact_id": artifact.artifact_id,
        "words_sha256": corpus.words_sha256,
        "gold_sha256": corpus.gold_sha256,
        "predictions_digest": named.digest,
        "model": artifact.name,
        "dataset": corpus.dataset.name,
        "gold": corpus.gold_name,
        "split": corpus.split,
        "dtype": benchmark.dtype,
    }
    key = predictions_key(about)
    known = (record.dates or {}).get(key)
    uri = find_once(run.results, "predictions", key, date=known.isoformat() if known else None)
    if uri is None:
        rows = _prediction_rows(named, about, text=benchmark.text == "keep")
        uri = write_table(run.results, "predictions", rows, date=run.date, key=key)
    if known != (date := calendar_date.fromisoformat(date_of(uri))):
        keep_date(open_root(run.results), record, key, date)
    read_as = {"kind": artifact.kind, "label_map": named.label_map, "n_unmapped": len(named.unmapped)}
    unparsed = int((record.counts or {}).get(PARSE_FAILURES, 0)) or None
    read_as |= {"pinned": None if artifact.is_pinned else False, "n_unparsed": unparsed}
    read_as |= {"n_unaligned": corpus.n_unaligned, "n_left_out": corpus.n_left_out}
    read_as["backend"] = benchmark.backend if artifact.kind == "model" else None
    read_as["perturbation"] = corpus.perturbation.name if corpus.perturbation else None
    return Predicted.model_validate(about | read_as | {"uri": uri, "model_sha256": artifact.model_sha256})


class Countable(NamedTuple):
    """Stored predictions and their counts."""

    predicted: Predicted
    counted: CountedPredictions


def write_and_count(run: Run, evaluated: Evaluated, config: Config) -> Countable:
    """Read predictions once, write them unless an earlier run did, and count them."""
    named = name_predictions(run.results, evaluated, config.benchmark)
    predicted = write_predictions(run, named, config.benchmark)
    return Countable(predicted, count_predictions(run.results, named, config))


def _prediction_rows(named: NamedPredictions, about: Mapping[str, str], *, text: bool) -> pa.Table:
    n = named.corpus.n_words
    first = np.zeros(n, np.int32)
    columns: dict[str, Any] = {name: pa.DictionaryArray.from_arrays(first, [value]) for name, value in about.items()}
    columns |= {name: named.table[name] for name in ("document", "sentence", "word", "score")}
    columns["text"] = Column.of(named.corpus.words).flat if text else pa.nulls(n)
    columns["gold_tag"] = Column.of(named.corpus.tags).flat
    columns["pred_tag"] = named.tags
    if perturbation := named.evaluated.corpus.perturbation:
        columns["perturbation"] = pa.repeat(perturbation.name, n)
    return pa.table(columns)


def write_measured(run: Run, artifact_id: str, rows: Mapping[str, Sequence[Row]], *what: str) -> dict[str, str]:
    """Write the `speed` and `memory` rows of one model. Returns their locations by table.

    `what` distinguishes further measurements of a model in one run from the latency sample.
    """
    return {
        table: write_table(
            run.results,
            table,
            [run.columns | row for row in found],
            date=run.date,
            key=table_key(run.run_id, table, artifact_id, *what),
        )
        for table, found in rows.items()
    }


def write_run(run: Run, config: Config, totals: Row, outcome: str) -> str:
    """Write the row of `runs`: configuration, environment, totals and outcome. Returns the location."""
    row = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "flow": run.flow,
        "configuration": canonical_json(config.as_written()).decode(),
        **environment(),
        **machine(),
        **totals,
        "total_s": (utc_now() - run.started_at).total_seconds(),
        "outcome": outcome,
    }
    key = table_key(run.run_id, "runs", str(run.attempt))
    return write_table(run.results, "runs", [row], date=run.date, key=key)
