"""The confusion matrix of entity types, with what is missed and what is made up."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from nerbench.tasks.analysis.aligned import align
from nerbench.tasks.corpora.labels import OUTSIDE
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.tagged import TaggedWords

BOUNDARIES = ("none", "overlap", "same")


def confusion(parts: Iterable[TaggedWords]) -> list[Row]:
    """Rows of the table `confusion` without its identity columns: one a gold type, predicted type and `boundaries`.

    Gold and predicted entities, read as `strict`, are paired one-to-one where they overlap (`scoring/pairing.py`),
    so that each is counted once: the `n` of the rows with a `gold_label` sum to the gold entities of that type, those
    with a `pred_label` to the predicted ones, and right ones are those with the same type and the `same` boundaries.
    Entities without a pair stand against `O`, with the boundaries `none`.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for part in parts:
        counts.update(dict(_cells(part)))
    return [
        {"gold_label": gold, "pred_label": predicted, "boundaries": boundaries, "n": n}
        for (gold, predicted, boundaries), n in sorted(counts.items())
    ]


def _cells(part: TaggedWords) -> Iterator[tuple[tuple[str, str, str], int]]:
    """The cells of one part that are not empty."""
    aligned = align(part)
    gold, predicted, (gold_at, pred_at) = aligned
    labels = (*part.types, OUTSIDE)
    outside = len(part.types)
    missed, spurious = np.delete(gold.type, gold_at), np.delete(predicted.type, pred_at)
    rows = np.concatenate([gold.type[gold_at], missed, np.full(len(spurious), outside)])
    columns = np.concatenate([predicted.type[pred_at], np.full(len(missed), outside), spurious])
    kinds = np.concatenate([1 + aligned.same_boundaries, np.zeros(len(missed) + len(spurious), np.int64)])
    shape = (len(labels), len(labels), len(BOUNDARIES))
    cells = np.bincount(np.ravel_multi_index((rows, columns, kinds), shape), minlength=int(np.prod(shape)))
    for cell in np.flatnonzero(cells):
        row, column, kind = np.unravel_index(cell, shape)
        yield (labels[row], labels[column], BOUNDARIES[kind]), int(cells[cell])
