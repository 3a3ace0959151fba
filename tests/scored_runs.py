"""Results like those of earlier benchmarks: predictions, their headline score and the row of the run."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from tagging import Sentences, predictions_table

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import table_key, write_table
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key


def digest(*parts: Any) -> str:
    return sha256_hex(canonical_json(parts))


def score(
    results: str,
    night: int,
    gold: Sentences,
    predicted: Sentences,
    *,
    documents: Sequence[int] | None = None,
    model: str = "tagger",
    version: int = 1,
    dataset: str = "own",
    gold_name: str | None = None,
    benchmark: dict[str, Any] | None = None,
    hour: int = 0,
    run: bool = True,
    digests: dict[str, str] | None = None,
    **environment: Any,
) -> Predicted:
    """Write the results of the run `night-3` of 2030-01-03 for one version of a model; at 5:00, it is `night-3-5`.

    `digests`: those of words and gold, for predictions of a corpus in files.
    """
    table = predictions_table(gold, predicted, documents)
    about = {
        "model": model,
        "artifact_id": digest(model, version),
        "dataset": dataset,
        "gold": gold_name or dataset,
        "split": "test",
        "words_sha256": digest([len(tags) for tags in gold], documents),
        "gold_sha256": digest(gold),
        "predictions_digest": table["predictions_digest"][0].as_py(),
        "dtype": "fp32",
        **(digests or {}),
    }
    for name, value in about.items():
        table = table.set_column(table.column_names.index(name), name, pa.array([value] * len(table)))
    date, model_sha256 = f"2030-01-{night:02}", digest(version)
    uri = write_table(results, "predictions", table, date=date, key=predictions_key(about))
    of_run = _identity(night, hour) | {"attempt": 1}
    headline = {"level": "entity", "mode": "strict", "slice": "all", "label": "overall", "metric": "f1"}
    row = (
        of_run
        | about
        | headline
        | {"average": "micro", "aggregation": "model", "model_sha256": model_sha256, "status": "ok"}
    )
    key = table_key(of_run["run_id"], about["artifact_id"], dataset, about["gold"])
    write_table(results, "metrics", [row], date=date, key=key)
    if run:
        write_run(results, night, benchmark or {}, hour=hour, **environment)
    return Predicted(uri=uri, model_sha256=model_sha256, **about)


def write_run(
    results: str, night: int, benchmark: dict[str, Any], *, hour: int = 0, attempt: int = 0, **environment: Any
) -> None:
    """Write the row of one attempt of a run."""
    row = _identity(night, hour)
    row |= {"started_at": row["started_at"] + timedelta(minutes=attempt)}
    row |= {"configuration": Config.model_validate({"benchmark": benchmark}).model_dump_json(), **environment}
    end_run(results, f"2030-01-{night:02}", **row)


def end_run(results: str, date: str, **row: Any) -> None:
    """Write the row of a complete run: `run_id`, `started_at`, and the given columns."""
    required = {one.name: "x" for one in TABLES["runs"].columns if one.type == "string" and not one.nullable}
    write_table(results, "runs", [required | row], date=date, key=table_key(row["run_id"], str(row["started_at"])))


def _identity(night: int, hour: int) -> dict[str, Any]:
    run_id = f"night-{night}-{hour}" if hour else f"night-{night}"
    return {"run_id": run_id, "started_at": datetime(2030, 1, night, hour, tzinfo=UTC)}
