"""Rows of the result tables, complete with what identifies model, corpus and run."""

import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from artifacts.digests import canonical_json
from artifacts.manifest import ArtifactRef, Manifest, Provenance
from artifacts.schemas import TABLES
from artifacts.tables import find_table_file, table_key, write_table
from tasks.config import BenchmarkConfig, Config
from tasks.corpora.columns import Column
from tasks.corpora.refs import CorpusRef, open_corpus
from tasks.environment import environment
from tasks.inference.evaluation import EvaluationRecord
from tasks.runs import Run, utc_now
from tasks.scoring.counting import CountedPredictions, name_predictions
from tasks.scoring.metrics import Row


def metric_rows(
    run: Run, artifact: ArtifactRef, counted: CountedPredictions, scored: Iterable[Row], precision: str
) -> list[Row]:
    """The `metrics` rows of one model under one annotation."""
    known = {
        "artifact_id": artifact.artifact_id,
        "model_sha256": artifact.model_sha256,
        "model": artifact.name,
        "dataset": counted.corpus.dataset.name,
        "split": counted.corpus.split,
        "words_sha256": counted.corpus.words_sha256,
        "gold": counted.corpus.gold_name,
        "gold_sha256": counted.corpus.gold_sha256,
        "predictions_digest": counted.predictions_digest,
        "precision": precision,
    }
    return [run.columns | known | row for row in scored]


def write_metrics(run: Run, artifact: ArtifactRef, dataset: str, rows: Sequence[Row]) -> str:
    """Write the `metrics` of one model on one data set, all annotations together; returns the location."""
    key = table_key(run.run_id, "metrics", artifact.artifact_id, dataset)
    return write_table(run.results, "metrics", list(rows), date=run.date, key=key)


def write_training(run: Run, artifact: ArtifactRef, provenance: Provenance) -> str:
    """Write the loss and validation curve of a trained model; returns the location."""
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


def write_seeds(run: Run, name: str, rows: Sequence[Row]) -> str:
    """Write the `metrics` rows that are means over the seeds of one model; returns the location."""
    return write_table(
        run.results, "metrics", list(rows), date=run.date, key=table_key(run.run_id, "metrics", "seeds", name)
    )


def write_predictions(
    run: Run, artifact: ArtifactRef, record: EvaluationRecord, ref: CorpusRef, benchmark: BenchmarkConfig
) -> str:
    """Write the `predictions` of a model beside one annotation, unless an earlier run did; returns the location."""
    named = name_predictions(run.results, artifact.name, record, ref, benchmark)
    key = table_key(artifact.artifact_id, ref.words_sha256, ref.gold_sha256, named.digest)
    if earlier := find_table_file(run.results, "predictions", key):
        return earlier
    corpus = open_corpus(ref)
    constants = {
        "artifact_id": artifact.artifact_id,
        "words_sha256": ref.words_sha256,
        "gold_sha256": ref.gold_sha256,
        "predictions_digest": named.digest,
        "model": artifact.name,
        "dataset": ref.dataset.name,
        "gold": ref.gold_name,
        "split": ref.split,
        "precision": benchmark.precision,
    }
    n = corpus.n_words
    columns: dict[str, Any] = {
        name: pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), [value]) for name, value in constants.items()
    }
    columns |= {name: named.table[name] for name in ("document", "sentence", "word", "score")}
    columns["text"] = Column.of(corpus.words).flat if benchmark.text == "keep" else pa.nulls(n)
    columns["gold_tag"] = Column.of(corpus.tags).flat
    columns["pred_tag"] = named.tags
    return write_table(run.results, "predictions", pa.table(columns), date=run.date, key=key)


def write_measurement(
    run: Run, artifact: ArtifactRef, manifest: Manifest, measured: Row, benchmark: BenchmarkConfig
) -> dict[str, str]:
    """Write the `speed` and the `memory` row of one model; returns their locations by table."""
    known = {
        "run_id": run.run_id,
        "artifact_id": artifact.artifact_id,
        "model": artifact.name,
        "device": measured["device"],
        "precision": benchmark.precision,
        "workload": "inference",
        "batch_size": 1,
        "sequence_length": None,
    }
    rows = {
        "speed": known
        | {"host": platform.node(), "backend": "eager", "processes": 1, "status": "ok"}
        | measured["speed"],
        "memory": known | {"artifact_bytes": manifest.total_bytes} | measured["memory"],
    }
    return {
        table: write_table(
            run.results, table, [row], date=run.date, key=table_key(run.run_id, table, artifact.artifact_id)
        )
        for table, row in rows.items()
    }


def write_run(run: Run, config: Config, totals: Row, outcome: str) -> str:
    """Write the `runs` row: configuration, environment, what was done, and how it ended; returns the location."""
    row = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "flow": run.flow,
        "configuration": canonical_json(config.model_dump(mode="json")).decode(),
        **environment(),
        **totals,
        "total_s": (utc_now() - run.started_at).total_seconds(),
        "outcome": outcome,
    }
    key = table_key(run.run_id, "runs", str(run.attempt))
    return write_table(run.results, "runs", [row], date=run.date, key=key)
