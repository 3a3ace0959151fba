"""Metrics over counts, and every definition of them.

One label, entity or tag, from counts summed over all documents (tp right ones, n_pred predicted, n_gold in the gold):

- precision = tp / n_pred, undefined where nothing is predicted;
- recall = tp / n_gold, undefined where the gold has none;
- f1 = 2 tp / (n_pred + n_gold), undefined where both are zero;
- accuracy (tokens only) = words rightly given or denied the label / words, one label against the rest.

Overall, precision, recall and f1 are averaged over the entity types, or over the tags other than `O`:

- micro: the definitions above on counts summed over the labels;
- macro: the mean over the labels that occur in gold or predictions, undefined values counting 0;
- weighted: the mean over labels weighted by n_gold, undefined values counting 0; undefined where the gold has none.

Overall accuracy (micro) is the share of all words whose tag is right, those tagged `O` included. Undefined numbers are
None with a reason. The averages are seqeval's and scikit-learn's with `zero_division=0`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tasks.corpora.labels import OUTSIDE, type_of
from tasks.scoring.counts import Counts, Level

OVERALL = "overall"
Average = Literal["micro", "macro", "weighted"]
Row = dict[str, Any]


class Sums(NamedTuple):
    """Counts of one label, or summed over several."""

    tp: int
    n_pred: int
    n_gold: int
    n_right: int
    """Words rightly given or denied the label; over all tags, words whose tag is right. Meaningless for entities."""
    n_words: int


class Metric(NamedTuple):
    """A number made of sums."""

    name: str
    compute: Callable[[Sums], float | None]
    levels: tuple[Level, ...]
    averages: tuple[Average, ...]
    all_tags: bool
    """Whether the overall value counts words tagged `O` too."""
    undefined: str
    """Why there is no value, where there is none."""


METRICS: dict[str, Metric] = {}


def metric(
    name: str,
    *,
    levels: tuple[Level, ...] = ("entity", "token"),
    averages: tuple[Average, ...] = ("micro", "macro", "weighted"),
    all_tags: bool = False,
    undefined: str,
) -> Callable[[Callable[[Sums], float | None]], Callable[[Sums], float | None]]:
    """Register a function of Sums, which returns None where it is undefined, as a metric."""

    def register(compute: Callable[[Sums], float | None]) -> Callable[[Sums], float | None]:
        METRICS[name] = Metric(name, compute, levels, averages, all_tags, undefined)
        return compute

    return register


@metric("precision", undefined="nothing predicted")
def _precision(sums: Sums) -> float | None:
    return sums.tp / sums.n_pred if sums.n_pred else None


@metric("recall", undefined="none in the gold")
def _recall(sums: Sums) -> float | None:
    return sums.tp / sums.n_gold if sums.n_gold else None


@metric("f1", undefined="neither predicted nor in the gold")
def _f1(sums: Sums) -> float | None:
    return 2 * sums.tp / (sums.n_pred + sums.n_gold) if sums.n_pred + sums.n_gold else None


@metric("accuracy", levels=("token",), averages=("micro",), all_tags=True, undefined="no words")
def _accuracy(sums: Sums) -> float | None:
    return sums.n_right / sums.n_words if sums.n_words else None


def score(counts: Iterable[Counts], label: str) -> list[Row]:
    """All rows of one label at every level and mode, or of `overall`.

    An entity type brings the rows of its tags, `B-` and `I-`, with it; `overall` those of the tag `O`.
    """
    kind = None if label == OVERALL else label
    rows: list[Row] = []
    for one in counts:
        rows += score_overall(one) if kind is None else []
        if one.level == "token":
            rows += [row for tag in one.labels if type_of(tag) == kind for row in score_label(one, tag)]
        elif kind is not None:
            rows += score_label(one, kind)
    return rows


def score_label(counts: Counts, label: str) -> list[Row]:
    """One row a metric for one label; a label that was never counted has zero counts and undefined values."""
    sums = _sums(counts, [label])
    return [_counted(counts, label, sums) | _valued(m, "", m.compute(sums)) for m in _metrics(counts.level)]


def score_overall(counts: Counts) -> list[Row]:
    """One row a metric and average. The counts of macro and weighted rows are the sums over their labels."""
    inner = [label for label in counts.labels if label != OUTSIDE or counts.level == "entity"]
    each = [_sums(counts, [label]) for label in inner]
    rows = []
    for m in _metrics(counts.level):
        total = _sums(counts, counts.labels if m.all_tags else inner)
        for average in m.averages:
            value = m.compute(total) if average == "micro" else _mean(m, each, average)
            rows.append(_counted(counts, OVERALL, total) | _valued(m, average, value))
    return rows


def _metrics(level: Level) -> Iterator[Metric]:
    return (m for m in METRICS.values() if level in m.levels)


def _sums(counts: Counts, labels: Sequence[str]) -> Sums:
    at = [counts.labels.index(label) for label in labels if label in counts.labels]
    tp, n_pred, n_gold = (int(array[:, at].sum()) for array in (counts.tp, counts.n_pred, counts.n_gold))
    n_words = int(counts.n_words.sum())
    # Over all tags, a wrong word is one tag too many and one too few; for one tag, each error is one of the two.
    n_wrong = (n_pred + n_gold) // 2 - tp if len(at) == len(counts.labels) else n_pred + n_gold - 2 * tp
    return Sums(tp=tp, n_pred=n_pred, n_gold=n_gold, n_right=n_words - n_wrong, n_words=n_words)


def _mean(m: Metric, each: Sequence[Sums], average: Average) -> float | None:
    weights = [s.n_gold if average == "weighted" else int(s.n_gold + s.n_pred > 0) for s in each]
    if not sum(weights):
        return None
    return float(np.average([m.compute(s) or 0.0 for s in each], weights=weights))


def _counted(counts: Counts, label: str, sums: Sums) -> Row:
    return {
        "slice": "all",
        "level": counts.level,
        "mode": counts.mode,
        "label": label,
        "tp": sums.tp,
        "n_pred": sums.n_pred,
        "n_gold": sums.n_gold,
        "support": sums.n_gold,
        "n_documents": len(counts.n_words) if counts.unit == "document" else None,
    }


def _valued(m: Metric, average: str, value: float | None) -> Row:
    undefined = value is None
    return {
        "average": average,
        "metric": m.name,
        "value": value,
        "status": "undefined" if undefined else "ok",
        "reason": m.undefined if undefined else None,
    }
