"""Metrics over counts, and every definition of them.

Of one label, an entity type or a tag, from counts summed over all documents:

- credit = tp + n_partial / 2: what is right. Only the mode `partial` knows half right ones;
- precision = credit / n_pred, undefined where nothing is predicted;
- recall = credit / n_gold, undefined where the gold has none;
- f1 = 2 credit / (n_pred + n_gold), undefined where both are zero;
- accuracy (tokens only) = words rightly given or denied the label / words, one label against the rest.

Overall (`overall`), precision, recall and f1 are averaged over the entity types, or over the tags other than `O`:

- micro: the definitions above on counts summed over the labels;
- macro: the mean over the labels that occur in gold or predictions, undefined values counting 0;
- weighted: the mean over labels weighted by n_gold, undefined values counting 0; undefined where the gold has none.

The mode `span`, which ignores types, has micro alone. At token level the label `overall_with_O` has the same averages
over all tags, `O` included (micro ones equal the accuracy then), and overall accuracy (micro) is the share of all words
whose tag is right, those tagged `O` included. Undefined numbers are None with a reason. The averages are seqeval's and
scikit-learn's with `zero_division=0`. A perfect prediction scores 1 wherever a number is defined.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.corpora.labels import OUTSIDE, type_of
from nerbench.tasks.scoring.counts import OVERALL, Counts
from nerbench.tasks.scoring.registry import Average, Metric, metric, registered

OVERALL_WITH_O = "overall_with_O"
Numbers = npt.NDArray[Any]
Row = dict[str, Any]


class Sums(NamedTuple):
    """Counts of one label, or summed over several: arrays of one shape, one element for all documents or a resample."""

    credit: Numbers
    """tp + n_partial / 2"""
    tp: Numbers
    n_pred: Numbers
    n_gold: Numbers
    n_invalid: Numbers
    """Words predicted `I-` that continue no entity of their type."""
    n_right: Numbers
    """Token level: words rightly given or denied the label; overall, words whose tag is right. NaN for entities."""
    n_words: Numbers


class Quantity(NamedTuple):
    """One number: of a slice, level, mode, label and average, by one metric with one choice of its parameters."""

    slice: str
    level: str
    mode: str
    label: str
    average: Average | Literal[""]
    metric: Metric
    arguments: dict[str, Any]


def ratio(part: Numbers, whole: Numbers) -> Numbers:
    """part / whole; NaN, which means undefined, where `whole` is zero."""
    part, whole = np.broadcast_arrays(part, whole)
    result: Numbers = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)
    return result


@metric("precision", needs="counts", tags=("builtin", "counts"), share=True, undefined="nothing predicted")
def precision(sums: Sums) -> Numbers:
    return ratio(sums.credit, sums.n_pred)


@metric("recall", needs="counts", tags=("builtin", "counts"), share=True, undefined="none in the gold")
def recall(sums: Sums) -> Numbers:
    return ratio(sums.credit, sums.n_gold)


@metric("f1", needs="counts", tags=("builtin", "counts"), share=True, undefined="neither predicted nor in the gold")
def f1(sums: Sums) -> Numbers:
    return ratio(2 * sums.credit, sums.n_pred + sums.n_gold)


@metric(
    "accuracy",
    needs="counts",
    tags=("builtin", "counts"),
    levels=("token",),
    averages=("micro",),
    all_tags=True,
    share=True,
    undefined="no words",
)
def accuracy(sums: Sums) -> Numbers:
    return ratio(sums.n_right, sums.n_words)


BUILTIN = registered(globals(), Metric)


def quantities(counts: Counts, label: str, metrics: Iterable[Metric] = BUILTIN) -> list[Quantity]:
    """Every number of one label, or of `overall`, that counts give.

    An entity type brings the numbers of its tags, `B-` and `I-`, with it; `overall` those with and of the tag `O`.
    """
    return [
        Quantity(counts.slice, counts.level, counts.mode, name, average, one, arguments)
        for name in _names(counts, label)
        for one in metrics
        if one.needs == "counts" and counts.level in one.levels and not (one.all_tags and name == OVERALL_WITH_O)
        for arguments in one.combinations
        for average in _averages(counts, name, one)
    ]


def evaluate(quantity: Quantity, labels: Sequence[str], sums: Numbers, n_words: Numbers) -> Numbers:
    """The numbers that sums over documents give, NaN where undefined.

    Args:
        labels: of the counts that were summed; a label that is not among them has zero counts.
        sums: (..., labels, 5) of `counts.COLUMNS`; n_words: (...)

    Returns: (...)
    Raises: whatever a metric of a user's own raises, and ValueError where it gives another shape.
    """
    each = quantity.average in {"macro", "weighted"}
    summed = _sums(quantity, labels, sums, n_words, each=each)
    with np.errstate(divide="ignore", invalid="ignore"):
        given = quantity.metric.compute(summed, **quantity.arguments)
    values = np.broadcast_to(np.asarray(given, np.float64), summed.n_pred.shape)
    if not each:
        return values
    weights = summed.n_gold if quantity.average == "weighted" else summed.n_gold + summed.n_pred > 0
    return ratio((np.where(np.isnan(values), 0, values) * weights).sum(-1), weights.sum(-1))


def _names(counts: Counts, label: str) -> list[str]:
    if counts.level == "token":
        kind = None if label == OVERALL else label
        tags = [tag for tag in counts.labels if type_of(tag) == kind]
        return [OVERALL, OVERALL_WITH_O, *tags] if kind is None else tags
    return [label] if label == OVERALL or counts.mode != "span" else []


def _averages(counts: Counts, name: str, one: Metric) -> Sequence[Average | Literal[""]]:
    if name not in {OVERALL, OVERALL_WITH_O}:
        return ("",)
    return [average for average in one.averages if counts.mode != "span" or average == "micro"]


def summed_columns(quantity: Quantity, labels: Sequence[str]) -> list[int]:
    if quantity.label not in {OVERALL, OVERALL_WITH_O}:
        return [labels.index(quantity.label)] if quantity.label in labels else []
    inner = quantity.level == "token" and quantity.label == OVERALL and not quantity.metric.all_tags
    return [at for at, label in enumerate(labels) if not (inner and label == OUTSIDE)]


def _sums(quantity: Quantity, labels: Sequence[str], sums: Numbers, n_words: Numbers, *, each: bool) -> Sums:
    """Of each label, (..., labels), or summed over the labels, (...)."""
    chosen = sums[..., summed_columns(quantity, labels), :]
    chosen, words = (chosen, n_words[..., None]) if each else (chosen.sum(-2), n_words)
    tp, n_partial, n_pred, n_gold, n_invalid = np.moveaxis(chosen, -1, 0)
    n_words = np.broadcast_to(words, tp.shape)
    if quantity.level == "entity":
        n_right = np.full(tp.shape, np.nan)
    elif quantity.average == "micro":
        n_right = sums[..., 0].sum(-1)
    else:
        n_right = n_words - (n_pred + n_gold - 2 * tp)
    return Sums(tp + n_partial / 2, tp, n_pred, n_gold, n_invalid, n_right, n_words)
