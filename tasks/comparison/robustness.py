"""The drop of a model on perturbed words: strict F1 compared with that of the clean split, paired by document.

Both have the same number of words and, word by word, the same gold tags, so that their counts can be paired like those
of two models on the same words (`nerbench.tasks.comparison.paired_differences`).
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from nerbench.tasks.comparison.paired_differences import deltas
from nerbench.tasks.config import Config
from nerbench.tasks.inference.evaluation_cache import Evaluated
from nerbench.tasks.results.rows import metric_rows, write_and_count, write_perturbed_metrics, write_robustness
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.counts import OVERALL, Counts, count_both_ways
from nerbench.tasks.scoring.metrics import Quantity, Row
from nerbench.tasks.scoring.score_predictions import score_counts
from nerbench.tasks.scoring.slices import EVERYTHING
from nerbench.tasks.scoring.stored_predictions import Predicted, read_predictions
from nerbench.tasks.statistics.paired_tests import holm
from nerbench.tasks.statistics.resampling import seed_of

_SAME = ("ci_low", "ci_high", "p_value", "detectable", "support", "reason")


class PerturbedScores(NamedTuple):
    """The scores of one model on all perturbations of one data set."""

    predicted: list[Predicted]
    drops: list[Row]
    """Rows of `robustness`, without the columns of the run."""
    tables: dict[str, str]
    """Locations of what was written, by table."""


def score_perturbed(run: Run, clean: Predicted, perturbed: Sequence[Evaluated], config: Config) -> PerturbedScores:
    """Write `predictions`, `metrics` and `robustness` of a model for all perturbations of a data set.

    The rows of `metrics` have all labels and modes, and no slices. Raises like `write_and_count` and `measure_drops`.
    """
    predicted: list[Predicted] = []
    rows: list[Row] = []
    for evaluated in perturbed:
        one, counted = write_and_count(run, evaluated, config)
        scored = (row for label in counted.labels for row in score_counts(run.results, counted, label, config))
        rows += metric_rows(run, one, scored)
        predicted.append(one)
    tables = {"metrics": write_perturbed_metrics(run, clean, rows)}
    found = measure_drops(config, clean, perturbed, predicted)
    tables["robustness"] = write_robustness(run, clean, found)
    return PerturbedScores(predicted, found, tables)


def measure_drops(
    config: Config, clean: Predicted, perturbed: Sequence[Evaluated], predicted: Sequence[Predicted]
) -> list[Row]:
    """Rows of `robustness`, without the columns of the run: every perturbation of one model and data set.

    `p_adjusted` is Holm's adjustment of the overall values over the perturbations, and of the entity types over
    perturbations and types.

    Args:
        predicted: The stored predictions of each of `perturbed`.

    Raises CorruptArtifactError.
    """
    before = _count(config.results, clean)
    seed, confidence = seed_of(clean.words_sha256, clean.gold_sha256), config.benchmark.confidence
    rows = [
        _about(clean, one, its) | _row(delta, confidence)
        for one, its in zip(perturbed, predicted, strict=True)
        for delta in deltas(before, _count(config.results, its), seed=seed, confidence=confidence, wanted=_is_strict_f1)
    ]
    overall = _adjusted([row for row in rows if row["label"] == OVERALL])
    return overall + _adjusted([row for row in rows if row["label"] != OVERALL])


def _count(results: str, predicted: Predicted) -> list[Counts]:
    file = read_predictions(results, predicted.uri)
    return count_both_ways(partial(file.parts, text=False, score=False), modes=())  # `strict` is always counted


def _is_strict_f1(one: Quantity) -> bool:
    return (one.mode, one.slice, one.metric.name) == ("strict", EVERYTHING, "f1") and one.average in {"micro", ""}


def _about(clean: Predicted, one: Evaluated, predicted: Predicted) -> Row:
    perturbation = one.corpus.perturbation
    return {
        **{name: getattr(clean, name) for name in ("artifact_id", "model", "dataset", "split", "dtype")},
        "perturbation": predicted.perturbation,
        "seed": perturbation and perturbation.seed,
        "changed_words": one.corpus.changed_words,
        "changed_sentences": one.corpus.changed_sentences,
        "evaluate_s": one.record.evaluate_s,
        **{name: getattr(predicted, name) for name in ("words_sha256", "predictions_digest")},
        **{f"clean_{name}": getattr(clean, name) for name in ("words_sha256", "predictions_digest")},
    }


def _row(delta: Row, confidence: float) -> Row:
    return {
        "label": delta["label"],
        "clean": delta["base"],
        "perturbed": delta["candidate"],
        "delta": delta["delta"],
        "confidence": confidence,
        "resampling_unit": delta["unit"],
        **{name: delta[name] for name in _SAME},
    }


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    p = holm([np.nan if row["p_value"] is None else row["p_value"] for row in rows])
    return [row | {"p_adjusted": None if np.isnan(one) else float(one)} for row, one in zip(rows, p, strict=True)]
