"""An unchanged model must predict what it predicted: any flip is real, and no interval plays a part."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from artifacts.digests import canonical_json
from artifacts.tables import Filter, read_newest_first, read_results
from tasks.comparison.environments import difference, same_settings
from tasks.comparison.flips import KINDS, flips
from tasks.config import Config
from tasks.environment import environment
from tasks.results.predicted import Predicted, stored
from tasks.runs import Run
from tasks.scoring.counts import OVERALL
from tasks.scoring.metrics import Row
from tasks.scoring.reading import read_predictions

NIGHTS = 40
"""Dates that are looked through for the run before: what was not scored for so long starts anew."""
_HEADLINE: list[Filter] = [
    ("mode", "=", "strict"),
    ("slice", "=", "all"),
    ("label", "=", OVERALL),
    ("metric", "=", "f1"),
    ("average", "=", "micro"),
]


class Earlier(NamedTuple):
    """What a model predicted the last time."""

    predicted: Predicted
    run: Mapping[str, Any]
    """That run's row of `runs`."""


def changed(run: Run, config: Config, now: Sequence[Predicted]) -> list[Row]:
    """A row of the gate for each model that predicts differently than in the newest earlier run with its settings.

    The row has the flips by kind, and says which run that was and how the environments differ.
    """
    configuration = canonical_json(config.model_dump(mode="json")).decode()
    here = environment() | {"run_id": run.run_id, "configuration": configuration}
    rows = []
    for one in now:
        before = _newest(run.results, run.run_id, one, here)
        if before and before.predicted.predictions_digest != one.predictions_digest:
            rows.append(_row(run, one, before, here))
    return rows


def _newest(results: str, run_id: str, now: Predicted, here: Mapping[str, Any]) -> Earlier | None:
    same = ("model_sha256", "words_sha256", "gold_sha256", "precision", "dataset", "gold")
    filters: list[Filter] = [*_HEADLINE, ("run_id", "!=", run_id), *((name, "=", getattr(now, name)) for name in same)]
    for found in islice(read_newest_first(results, "metrics", filters=filters), NIGHTS):
        for row in sorted(found.rows.to_pylist(), key=lambda row: row["started_at"], reverse=True):
            of_run: list[Filter] = [("run_id", "=", row["run_id"])]
            runs = read_results(results, "runs", since=found.date, filters=of_run).to_pylist()
            if runs and same_settings(runs[-1], here, row["precision"], now.precision):
                return Earlier(stored(results, row), runs[-1])
    return None


def _row(run: Run, now: Predicted, before: Earlier, here: Mapping[str, Any]) -> Row:
    parts = (read_predictions(run.results, uri).parts() for uri in (before.predicted.uri, now.uri))
    kinds = [flip.kind for flip in flips(*parts)]
    counts: Row = {kind: kinds.count(kind) for kind in KINDS}
    environments = difference(before.run, here, now.precision, now.precision)
    changes = [f"{name} {sides['base']} then, {sides['candidate']} now" for name, sides in environments.items()]
    flipped = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return {
        "kind": "frozen",
        "model": now.model,
        "artifact_id": now.artifact_id,
        "baseline_artifact_id": before.predicted.artifact_id,
        "dataset": now.dataset,
        "split": now.split,
        "gold": now.gold,
        "verdict": "regression",
        "failed": True,
        **counts,
        "reason": f"the same model and settings predict differently than in the run {before.run['run_id']}: "
        f"entities {flipped}; {'; '.join(changes) or 'the environment is the same'}",
    }
