"""Metrics: registration of built-in and custom ones, and the definition of every built-in one.

  from nerbench import metric

  @metric("long_f1", tags=["shape"], labels="all", parameters={"words": [2, 3]})
  def long_f1(predictions, *, label, words): ...

A metric is registered only in the file that defines it, so that files do not see each other's metrics.

For one label, an entity type or a tag, from counts summed over all documents:

- credit = tp + n_partial / 2, the number of right predictions; only the mode `partial` has half-right ones;
- precision = credit / n_pred, undefined if nothing is predicted;
- recall = credit / n_gold, undefined if there is no gold;
- f1 = 2 credit / (n_pred + n_gold), undefined if both are zero;
- accuracy (tokens only) = words for which the label is rightly given or denied / words, one label against the rest.

For `overall`, precision, recall and f1 are averaged over the entity types, or over the tags other than `O`:

- micro: the definitions above on counts summed over the labels;
- macro: the mean over the labels that occur in gold or predictions; undefined values count as 0;
- weighted: the mean over labels weighted by n_gold; undefined values count as 0; undefined if there is no gold.

The mode `span`, which ignores types, has only micro averages. At token level, the label `overall_with_O` has the same
averages over all tags, including `O` (its micro averages equal the accuracy), and overall accuracy (micro) is the share
of all words with the right tag, including words tagged `O`. Undefined numbers are None with a reason. The averages
equal those of seqeval and of scikit-learn with `zero_division=0`. A perfect prediction scores 1 wherever a number is
defined.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import product
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from nerbench.artifacts.errors import InputError
from nerbench.tasks.data.tag_schemes import OUTSIDE, type_of
from nerbench.tasks.scoring.counts import OVERALL, Counts
from nerbench.tasks.scoring.slices import EVERYTHING

Needs = Literal["counts", "predictions", "model"]
Average = Literal["micro", "macro", "weighted"]
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")
LEVELS = ("entity", "token")
Labels = Literal["all"] | Sequence[str] | None
Function = TypeVar("Function", bound=Callable[..., Any])
Noted = TypeVar("Noted")

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_NOTED = "__nerbench__"


@dataclass(frozen=True, kw_only=True, eq=False)
class Metric:
    """A function that computes a number, and the arguments that it is called with."""

    name: str
    compute: Callable[..., Any]
    needs: Needs = "predictions"
    """`counts`: called with `metrics.Sums`, for every slice, level, mode, label and average; `predictions`: with
    `user_metrics.Predictions`; `model`: with these and the loaded model."""
    tags: tuple[str, ...] = ()
    """Tags for selection."""
    labels: Labels = None
    """Labels to call it for, each as the keyword `label`: some, or all entity types; None: one call without a label."""
    parameters: Mapping[str, Sequence[Any]] = dataclass_field(default_factory=dict)
    """Values of further keywords; it is called for every combination."""
    levels: tuple[str, ...] = LEVELS
    """Only for `counts`."""
    averages: tuple[Average, ...] = AVERAGES
    """Only for `counts`."""
    all_tags: bool = False
    """Only for `counts`: whether the overall value at token level counts words tagged `O`, too."""
    share: bool = False
    """Only for `counts`: whether it is a share of entities or words in 0…1; the interval then stays in 0…1."""
    undefined: str = "the metric has no value here"
    """The reason to give if there is no value."""
    source: str | None = None
    """File and digest of a custom metric; None for a built-in one."""

    def __post_init__(self) -> None:
        """Raise InputError for a property that cannot be used."""
        _check(self)

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of the parameters, the last one changing fastest; without parameters, one empty
        combination."""
        return [dict(zip(self.parameters, values, strict=True)) for values in product(*self.parameters.values())]

    @property
    def place(self) -> str:
        """Where it is defined, as `file.py:3`."""
        return defined_at(self.compute)


def metric(  # noqa: PLR0913 - a declaration of named properties
    name: str,
    *,
    needs: Needs = "predictions",
    tags: Sequence[str] = (),
    labels: Labels = None,
    parameters: Mapping[str, Sequence[Any]] | None = None,
    levels: Sequence[str] = LEVELS,
    averages: Sequence[Average] = AVERAGES,
    all_tags: bool = False,
    share: bool = False,
    undefined: str = "the metric has no value here",
) -> Callable[[Function], Function]:
    """Register a function as a metric. `Metric` documents the properties. Returns the function unchanged.

    Raises:
        InputError: A property cannot be used.

    >>> import nerbench
    >>> @nerbench.metric("n_entities", labels="all")  # in a file that `metrics` of the configuration names
    ... def n_entities(predictions, *, label):
    ...     return sum(entity.type == label for entity in predictions.predicted)
    """

    def register(function: Function) -> Function:
        made = Metric(
            name=name,
            compute=function,
            needs=needs,
            tags=texts(f"metric {name!r}", "tags", tags),
            labels=labels if labels is None or labels == "all" else texts(f"metric {name!r}", "labels", labels),
            parameters=parameters or {},
            levels=texts(f"metric {name!r}", "levels", levels),
            averages=tuple(averages),
            all_tags=all_tags,
            share=share,
            undefined=undefined,
        )
        note(function, made)
        return function

    return register


def note(function: Callable[..., Any], made: Any) -> None:
    """Store an object made from a function in the module that defines the function."""
    inspect.unwrap(function).__globals__.setdefault(_NOTED, []).append(made)


def registered(namespace: Mapping[str, Any], kind: type[Noted]) -> tuple[Noted, ...]:
    """The objects of a kind that a module defines, in order; `namespace` is its `vars()`."""
    return tuple(one for one in namespace.get(_NOTED, ()) if isinstance(one, kind))


def defined_at(function: Callable[..., Any]) -> str:
    """Where a function is defined, as `file.py:3`."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


class Tagged(Protocol):
    """Something that is selected by tags."""

    @property
    def tags(self) -> tuple[str, ...]: ...


Chosen = TypeVar("Chosen", bound=Tagged)


def select(every: Sequence[Chosen], tags: Iterable[str], field: str = "--tags") -> list[Chosen]:
    """The items that have any of the tags; all items if no tag is given. Raises InputError for an unknown tag."""
    wanted = set(tags)
    known = {tag for one in every for tag in one.tags}
    if unknown := sorted(wanted - known):
        problem = f"nothing has the tag {', '.join(map(repr, unknown))}"
        raise InputError(field, problem, f"choose among {', '.join(sorted(known))}")
    return [one for one in every if not wanted or wanted & set(one.tags)]


def texts(owner: str, field: str, given: Iterable[str]) -> tuple[str, ...]:
    """A property that is a list of names. Raises InputError for anything else."""
    if isinstance(given, str) or not all(isinstance(text, str) and text for text in given):
        raise InputError(owner, f"{field} are {given!r}", f'give a list of names, as {field}=["a", "b"]')
    return tuple(given)


def _check(made: Metric) -> None:
    def wrong(problem: str, remedy: str) -> InputError:
        return InputError(f"metric {made.name!r}", problem, remedy)

    if not (isinstance(made.name, str) and NAME.fullmatch(made.name)):
        raise wrong("is not a valid name", "begin with a letter, and use letters, digits, - and _, at most 64")
    if not inspect.isfunction(inspect.unwrap(made.compute)):
        raise wrong(f"decorates no function but {type(made.compute).__name__}", "decorate a function")
    for field, given, known in (
        ("needs", {made.needs}, get_args(Needs)),
        ("levels", set(made.levels), LEVELS),
        ("averages", set(made.averages), AVERAGES),
    ):
        if given - set(known):
            raise wrong(f"{field} names {', '.join(map(repr, given))}", f"choose among {', '.join(known)}")
    if made.needs == "counts" and made.labels is not None:
        raise wrong("labels are given to a metric of counts", "leave them out: it is computed for every label")
    if not isinstance(made.parameters, Mapping) or not all(map(str.isidentifier, map(str, made.parameters))):
        raise wrong(f"parameters are {made.parameters!r}", 'give values by keyword, as {"k": [1, 2]}')
    for key, values in made.parameters.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise wrong(f"the parameter {key!r} has the values {values!r}", "give a list of at least one value")
    if made.labels is not None and "label" in made.parameters:
        raise wrong("a parameter and the label have one name, 'label'", "rename the parameter")


OVERALL_WITH_O = "overall_with_O"
Numbers = npt.NDArray[Any]
Row = dict[str, Any]


class Sums(NamedTuple):
    """Counts of one label, or summed over several: arrays of one shape, with one element for all documents or for a
    resample."""

    credit: Numbers
    """tp + n_partial / 2"""
    tp: Numbers
    n_pred: Numbers
    n_gold: Numbers
    n_invalid: Numbers
    """Words predicted `I-` that continue no entity of their type."""
    n_right: Numbers
    """Token level: words for which the label is rightly given or denied; overall, words with the right tag. NaN for
    entities."""
    n_words: Numbers


HEADLINE: Row = {
    "level": "entity",
    "mode": "strict",
    "slice": EVERYTHING,
    "label": OVERALL,
    "metric": "f1",
    "average": "micro",
}
"""The number that tables, gates and reports show first: strict, micro-averaged F1 of all entities."""


class Quantity(NamedTuple):
    """One number: its slice, level, mode, label and average, its metric, and one choice of the metric's parameters."""

    slice: str
    level: str
    mode: str
    label: str
    average: Average | Literal[""]
    metric: Metric
    arguments: dict[str, Any]


def ratio(part: Numbers, whole: Numbers) -> Numbers:
    """part / whole; NaN, which means undefined, if `whole` is zero."""
    part, whole = np.asarray(part), np.asarray(whole)
    if part.shape != whole.shape:
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

    An entity type includes the numbers of its tags `B-` and `I-`; `overall` includes `overall_with_O` and the tag `O`.
    """
    return [
        Quantity(counts.slice, counts.level, counts.mode, name, average, one, arguments)
        for name in _names(counts, label)
        for one in metrics
        if one.needs == "counts" and counts.level in one.levels and not (one.all_tags and name == OVERALL_WITH_O)
        for arguments in one.combinations
        for average in _averages(counts, name, one)
    ]


KnownSums = dict[tuple[str, bool, bool, bool], Sums]
"""Sums of one label: whether they are of each label apart, of all labels together, and include words tagged `O`."""


def evaluate(
    quantity: Quantity, labels: Sequence[str], sums: Numbers, n_words: Numbers, known: KnownSums | None = None
) -> Numbers:
    """The numbers for sums over documents; NaN if undefined.

    Args:
        labels: The labels of the summed counts; other labels have zero counts.
        sums: (..., labels, 5) of `counts.COLUMNS`.
        n_words: (...)
        known: Sums that were computed for other quantities from the same arguments, to which this one's are added.

    Returns: (...)

    Raises what a custom metric raises, and ValueError if its result has another shape.
    """
    each = quantity.average in {"macro", "weighted"}
    key = quantity.label, each, quantity.average == "micro", quantity.metric.all_tags
    if known is None or quantity.metric.source is not None:  # a custom metric may change the arrays
        known = {}
    if key not in known:
        for old in [one for one in known if one[0] != quantity.label]:  # those of all tags are large
            del known[old]
        known[key] = _sums(quantity, labels, sums, n_words, each=each)
    summed = known[key]
    with np.errstate(divide="ignore", invalid="ignore"):
        given = quantity.metric.compute(summed, **quantity.arguments)
    values: Numbers = np.asarray(given, np.float64)
    if values.shape != summed.n_pred.shape:
        values = np.broadcast_to(values, summed.n_pred.shape)
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
    """The sums of each label, (..., labels), or over the labels, (...)."""
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
