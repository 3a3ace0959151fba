"""Agreement between models on the same words, and the highest F1 that a choice among them can reach."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.artifacts.errors import InputError
from nerbench.tasks.comparison.scored_runs import find_on_dataset, reasons
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.entities import Codes, Entities, Flags, Indices, extract, identical
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, PredictionsFile, read_predictions
from nerbench.tasks.scoring.tagged_words import with_types

Shares = npt.NDArray[np.float64]


class Ratings(NamedTuple):
    """Tags of several models for the same words, numbered as by `entities.encode` for `types`."""

    types: tuple[str, ...]
    gold: Codes
    """(words,)"""
    predicted: npt.NDArray[np.int32]
    """(models, words)"""
    scores: Shares
    """(models, words) probability of the predicted tag; 1 where it is unknown."""
    sentence: Indices
    """(words,) number of the sentence, from 0."""

    @property
    def starts(self) -> Flags:
        """(words,) true at the first word of each sentence."""
        starts: Flags = np.diff(self.sentence, prepend=-1) != 0
        return starts

    def entities(self, codes: Codes) -> Entities:
        """The entities of the gold or of one model, decoded as in `strict`."""
        return extract(codes, self.starts, "strict")


def find_predictions(
    references: Sequence[str], config: Config, dataset: str | None, gold: str | None
) -> list[Predicted]:
    """The stored predictions of each model (see `scored_runs`) on one data set and annotation, by default its own.

    Raises InputError for fewer than two models, if one is named twice or has no predictions, if the data set is
    ambiguous, or if words or annotations differ.
    """
    if len(references) < 2:
        raise InputError("REF", "names one model", "name at least two")
    if twice := [one for one in references if references.count(one) > 1]:
        raise InputError("REF", f"names {twice[0]} twice", "name it once")
    runs = [find_on_dataset(one, config, dataset) for one in references]
    names = sorted({one.dataset for run in runs for one in run.scored})
    if len(names) > 1:
        raise InputError(
            "--dataset", "is missing, and the models were scored on several", f"name one of {', '.join(names)}"
        )
    wanted = gold or names[0]
    found = []
    for run in runs:
        annotations = {one.gold: one for one in run.scored}
        if wanted not in annotations:
            problem, there = f"was not scored against {wanted}", ", ".join(sorted(annotations))
            raise InputError(f"model {run.reference!r}", problem, f"benchmark it, or choose with --gold among {there}")
        found.append(annotations[wanted])
        if problems := reasons(found[0], found[-1]):
            both = f"{runs[0].reference} and {run.reference}"
            raise InputError(both, "; ".join(problems), "benchmark them on the same words and annotation")
    return found


def read_ratings(results: str, predicted: Sequence[Predicted]) -> Ratings:
    """The tags of predictions of the same words. Raises CorruptArtifactError if a file is damaged."""
    files = [read_predictions(results, one.uri) for one in predicted]
    types = tuple(sorted({kind for file in files for kind in file.types}))
    read = [_read(file, types) for file in files]
    return Ratings(
        types=types,
        gold=read[0]["gold"],
        predicted=np.stack([one["predicted"] for one in read]),
        scores=np.stack([one["score"] for one in read]),
        sentence=read[0]["sentence"],
    )


def _read(file: PredictionsFile, types: tuple[str, ...]) -> dict[str, Any]:
    parts = [with_types(part, types) for part in file.parts(text=False)]
    scores = [np.ones(len(one.gold)) if one.score is None else np.nan_to_num(one.score, nan=1.0) for one in parts]
    return {
        "gold": np.concatenate([one.gold for one in parts]),
        "predicted": np.concatenate([one.predicted for one in parts]),
        "sentence": np.concatenate([one.sentence for one in parts]),
        "score": np.concatenate(scores),
    }


class Agreement(NamedTuple):
    """Numbers in 0…1; None if undefined."""

    f1: list[float | None]
    """(models,) strict F1 against the annotation."""
    pairs: list[Row]
    """For each two models: their positions `a` and `b`, and `f1` of one against the other, which is symmetrical."""
    labels: list[Row]
    """For `overall` and each type: `kappa`, `support`, and the share of gold entities that `any` model finds, or
    `all` do."""
    oracle_f1: float | None
    """F1 of the best choice of one model for each sentence."""


def agreement(ratings: Ratings) -> Agreement:
    """How far at least two models agree."""
    gold, n_words = ratings.entities(ratings.gold), len(ratings.gold)
    found = [ratings.entities(codes) for codes in ratings.predicted]
    hits = np.stack([identical(gold, one, n_words) >= 0 for one in found])
    pairs = [
        {"a": a, "b": b, "f1": _f1(int((identical(found[a], found[b], n_words) >= 0).sum()), found[a], found[b])}
        for a, b in combinations(range(len(found)), 2)
    ]
    labels = [
        {
            "label": OVERALL if number is None else ratings.types[number],
            "kappa": fleiss_kappa(_votes(ratings, number)),
            "support": int(chosen.sum()),
            "any": _mean(np.any(hits[:, chosen], axis=0)),
            "all": _mean(np.all(hits[:, chosen], axis=0)),
        }
        for number in (None, *range(len(ratings.types)))
        for chosen in [np.isin(gold.type, range(len(ratings.types)) if number is None else [number])]
    ]
    of_sentence = ratings.sentence
    n_sentences = int(of_sentence[-1]) + 1
    tp = np.stack([np.bincount(of_sentence[gold.start[hit]], minlength=n_sentences) for hit in hits])
    n_pred = np.stack([np.bincount(of_sentence[one.start], minlength=n_sentences) for one in found])
    f1 = [_f1(int(hit.sum()), gold, one) for hit, one in zip(hits, found, strict=True)]
    return Agreement(f1, pairs, labels, best_choice_f1(tp, n_pred, len(gold.start)))


def fleiss_kappa(votes: Indices) -> float | None:
    """Agreement beyond chance of a fixed number of raters (Fleiss 1971); None if all votes are for one category.

    Args:
        votes: (items, categories) number of raters who chose the category.
    """
    n = votes[0].sum()
    observed = ((votes * (votes - 1)).sum(1) / (n * (n - 1))).mean()
    expected = ((votes.sum(0) / votes.sum()) ** 2).sum()
    return None if expected == 1 else float((observed - expected) / (1 - expected))


def _votes(ratings: Ratings, label: int | None) -> Indices:
    """(words, categories) models that give a word to each type or to none, or to one type or to anything else."""
    types = (ratings.predicted + 1) // 2  # 0 for O
    if label is not None:
        types = (types == label + 1).astype(np.int64)
    return np.stack([(types == kind).sum(0) for kind in range(2 if label is not None else len(ratings.types) + 1)], 1)


def best_choice_f1(tp: Indices, n_pred: Indices, n_gold: int) -> float | None:
    """The largest F1 that choosing one model for each sentence can reach; None without any entity.

    F1 is a ratio of sums, so that the best choice is found by Dinkelbach's method (1967): choose by the difference of
    numerator and F1 times denominator, until F1 does not rise.

    Args:
        tp, n_pred: (models, sentences)
    """
    best, every = -1.0, np.arange(tp.shape[1])
    while True:
        chosen = np.argmax(2 * tp - max(best, 0.0) * n_pred, axis=0)
        total = int(n_pred[chosen, every].sum()) + n_gold
        if not total:
            return None
        reached = 2 * int(tp[chosen, every].sum()) / total
        if reached <= best:
            return best
        best = reached


def _f1(tp: int, one: Entities, other: Entities) -> float | None:
    total = len(one.start) + len(other.start)
    return 2 * tp / total if total else None


def _mean(flags: Flags) -> float | None:
    return float(flags.mean()) if len(flags) else None
