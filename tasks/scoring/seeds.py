"""Scores over several seeds of one model: mean and standard deviation of every number."""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean, stdev

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.scoring.metrics import Row

SAME = ("dataset", "gold", "slice", "level", "mode", "label", "average", "metric", "parameters")
"""Columns in which rows of different seeds agree if they are about one number; a row may lack null columns."""
KEPT = (
    *("run_id", "started_at", "attempt", "dataset", "split", "words_sha256", "gold", "gold_sha256", "dtype"),
    *("slice", "level", "mode", "label", "average", "metric", "parameters", "source"),
    *("n_gold", "n_repaired", "n_unaligned", "n_left_out", "support", "n_documents"),
)
"""Columns that the row of the mean copies."""


def seed_rows(model: ModelConfig, metrics: Iterable[Row]) -> list[Row]:
    """One row per number under the model's own name: mean over the seeds and standard deviation (n - 1).

    No rows if the model has one seed or not every seed was scored. A number that is undefined for one seed is
    undefined. The digests of a row are digests of its members' digests.
    """
    members = {one.name for one in model.each_seed}
    groups: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in metrics:
        if row["model"] in members:
            groups[tuple(row.get(column) for column in SAME)].append(row)
    complete = [rows for rows in groups.values() if len(rows) == len(members) > 1]
    return [_mean(model.name, sorted(rows, key=lambda row: row["model"])) for rows in complete]


def _mean(name: str, rows: list[Row]) -> Row:
    values = [row["value"] for row in rows]
    defined = None not in values
    return {column: rows[0].get(column) for column in KEPT} | {
        "model": name,
        "artifact_id": _joint_digest(rows, "artifact_id"),
        "model_sha256": _joint_digest(rows, "model_sha256"),
        "value": fmean(values) if defined else None,
        "std": stdev(values) if defined else None,
        "aggregation": "seed_mean",
        "n_models": len(rows),
        "status": "ok" if defined else "undefined",
        "reason": None if defined else "undefined for a seed",
    }


def _joint_digest(rows: list[Row], column: str) -> str:
    return sha256_hex(canonical_json([row[column] for row in rows]))
