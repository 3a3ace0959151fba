"""The reproducibility gate: an unchanged model must predict the same as before, so every flip is real."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from nerbench.artifacts.digests import canonical_json
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import Filter, read_newest_first
from nerbench.tasks.comparison.flips import KINDS, aligned_parts, flips
from nerbench.tasks.config import Config
from nerbench.tasks.environment import environment
from nerbench.tasks.results.environment_changes import difference, same_settings
from nerbench.tasks.results.query import HEADLINE_FILTERS, runs_of_date
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.entities import extract, identical
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, metrics_keys, read_predictions, stored

RUNS = 40
"""Number of dates to search for the previous run. A model that was not scored for longer has no previous run."""
_SAME = ("model_sha256", "words_sha256", "gold_sha256", "dtype", "dataset", "gold", "label_map")
_COLUMNS = ("run_id", "started_at", *(name for name in Predicted.model_fields if name != "uri"))


class Earlier(NamedTuple):
    """The previous predictions of a model."""

    row: Row
    """The row of `metrics` with the columns of `Predicted`."""
    run: Mapping[str, Any]
    """The run's row in `runs`."""


def changed(run: Run, config: Config, now: Sequence[Predicted]) -> list[Row]:
    """A row of `gate` for each model that predicts differently than in its newest earlier run with the same settings.

    The row has the number of flips by kind, the earlier run, and the differences between the environments. If the
    predictions of that run are gone, the row has no flips, but still reports the change.

    A tagger that is not pinned may change: its row has the share of entities that agree, and fails nothing.
    """
    configuration = canonical_json(config.model_dump(mode="json")).decode()
    here = environment() | {"run_id": run.run_id, "configuration": configuration}
    before = _newest(run, now, here)
    found = [(one, earlier) for one, earlier in zip(now, before, strict=True) if earlier]
    return [
        _repeatability(run, one, earlier) if one.pinned is False else _row(run, one, earlier, here)
        for one, earlier in found
        if one.pinned is False or earlier.row["predictions_digest"] != one.predictions_digest
    ]


def _newest(run: Run, now: Sequence[Predicted], here: Mapping[str, Any]) -> list[Earlier | None]:
    """For each of `now`, its newest earlier run with these settings; each date is read once for all of them.

    If the searched dates have many small files, a model that was published again under another id is only found where
    they were compacted.
    """
    found: list[Earlier | None] = [None] * len(now)
    runs_of = cache(partial(runs_of_date, run.results))
    models = sorted({one.model_sha256 for one in now})
    filters: list[Filter] = [*HEADLINE_FILTERS, ("run_id", "!=", run.run_id), ("model_sha256", "in", models)]

    def keys(date: str) -> set[str]:
        scored = {(one.artifact_id, one.dataset, one.gold) for one in now}
        return {key for run_id in runs_of(date) for one in scored for key in metrics_keys(run_id, *one)}

    earlier_dates = read_newest_first(
        run.results, "metrics", columns=_COLUMNS, filters=filters, dates=RUNS if models else 0, keys=keys
    )
    for dated in earlier_dates:
        row_of = runs_of(dated.date).get
        rows = sorted(dated.rows.to_pylist(), key=lambda row: row["started_at"], reverse=True)
        rows_of = {same: list(of) for same, of in groupby(sorted(rows, key=_same), _same)}
        for at, one in enumerate(now):
            if found[at] is None:
                candidates = ((row, row_of(row["run_id"])) for row in rows_of.get(_same(one.model_dump()), ()))
                fitting = (
                    Earlier(row, earlier)
                    for row, earlier in candidates
                    if earlier and same_settings(earlier, here, row["dtype"], one.dtype)
                )
                found[at] = next(fitting, None)
        if None not in found:
            break
    return found


def _same(row: Row) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in _SAME)


def _row(run: Run, now: Predicted, before: Earlier, here: Mapping[str, Any]) -> Row:
    flipped = _flipped(run.results, before.row, now)
    environments = difference(before.run, here, now.dtype, now.dtype)
    changes = [f"{name} {pair['base']} then, {pair['candidate']} now" for name, pair in environments.items()]
    counts = ", ".join(f"{count} {kind}" for kind, count in flipped.items()) or "whose earlier predictions are gone"
    return _about(now, before) | {
        "kind": "frozen",
        "verdict": "regression",
        "failed": True,
        **flipped,
        "reason": f"the same model and settings predict differently than in the run {before.run['run_id']}: "
        f"entities {counts}; {'; '.join(changes) or 'the environment is the same'}",
    }


def _repeatability(run: Run, now: Predicted, before: Earlier) -> Row:
    share = _agreement(run.results, before.row, now)
    agreement = "the earlier predictions are gone" if share is None else f"{share:.1%} of the entities agree"
    return _about(now, before) | {
        "kind": "repeatability",
        "verdict": "pass",
        "failed": False,
        "candidate": share,
        "unit": "share",
        "reason": f"{agreement} with the run {before.run['run_id']}; the tagger is not pinned",
    }


def _about(now: Predicted, before: Earlier) -> Row:
    about: Row = now.model_dump(include={"model", "artifact_id", "dataset", "split", "gold"})
    return about | {"baseline_artifact_id": before.row["artifact_id"]}


def _agreement(results: str, before: Row, now: Predicted) -> float | None:
    """Entities that both runs predict, as a share of those that one of them does; None if some are gone."""
    try:
        uris = (stored(results, before).uri, now.uri)
    except InputError:
        return None
    both = either = 0
    for sides in aligned_parts(*(read_predictions(results, uri).parts(text=False) for uri in uris)):
        first, second = (extract(side.predicted, side.sentence_starts, "conlleval") for side in sides)
        same = int(np.count_nonzero(identical(first, second, len(sides[0].predicted)) >= 0))
        both += same
        either += len(first.start) + len(second.start) - same
    return both / either if either else 1.0


def _flipped(results: str, before: Row, now: Predicted) -> dict[str, int]:
    """The number of flipped entities by kind; empty if the earlier predictions are gone."""
    try:
        uris = (stored(results, before).uri, now.uri)
    except InputError:
        return {}
    parts = (read_predictions(results, uri).parts(text=False) for uri in uris)
    kinds = Counter(flip.kind for flip in flips(*parts))
    return {kind: kinds[kind] for kind in KINDS}
