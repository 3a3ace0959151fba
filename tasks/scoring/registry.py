"""What a metric is, and how one is registered: one decorator for the built-in ones and for a user's own.

    from nerbench import metric

    @metric("long_f1", tags=["shape"], labels="all", parameters={"words": [2, 3]})
    def long_f1(predictions, *, label, words): ...

A metric is noted in the file that defines it and nowhere else, so that files do not see each other's.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import product
from typing import Any, Literal, Protocol, TypeVar, get_args

from nerbench.artifacts.errors import InputError

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
    """A function that gives a number, and what it is called with."""

    name: str
    compute: Callable[..., Any]
    needs: Needs = "predictions"
    """`counts`: called with `metrics.Sums`, for every slice, level, mode, label and average; `predictions`: with
    `predictions.Predictions`; `model`: with these and the loaded model."""
    tags: tuple[str, ...] = ()
    """What it is selected by."""
    labels: Labels = None
    """Labels it is called for, each as the keyword `label`: some, or all entity types; None: once, without one."""
    parameters: Mapping[str, Sequence[Any]] = dataclass_field(default_factory=dict)
    """Values of further keywords; it is called for every combination."""
    levels: tuple[str, ...] = LEVELS
    """Of counts."""
    averages: tuple[Average, ...] = AVERAGES
    """Of counts."""
    all_tags: bool = False
    """Of counts: whether the overall value at token level counts words tagged `O` too."""
    share: bool = False
    """Of counts: whether it is a share of entities or words, which lies in 0…1; the interval then keeps within it."""
    undefined: str = "the metric has no value here"
    """Why there is no value, where there is none."""
    source: str | None = None
    """File and digest of a user's own; None for a built-in one."""

    def __post_init__(self) -> None:
        """Raise InputError for a property that cannot be used."""
        _check(self)

    @property
    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of the parameters, the last one changing fastest; one empty one without parameters."""
        return [dict(zip(self.parameters, values, strict=True)) for values in product(*self.parameters.values())]

    @property
    def place(self) -> str:
        """`file.py:3`, where it is defined."""
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
    """Register a function as a metric; what the properties mean is said at `Metric`. The function stays as it is.

    Raises:
        InputError: a property cannot be used.
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
    """Note what was made of a function in the module that defines it."""
    inspect.unwrap(function).__globals__.setdefault(_NOTED, []).append(made)


def registered(namespace: Mapping[str, Any], kind: type[Noted]) -> tuple[Noted, ...]:
    """What a module defines of a kind, in its order; `namespace` is its `vars()`."""
    return tuple(one for one in namespace.get(_NOTED, ()) if isinstance(one, kind))


def defined_at(function: Callable[..., Any]) -> str:
    """`file.py:3`, where a function is defined."""
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


class Tagged(Protocol):
    """What is selected by tags."""

    @property
    def tags(self) -> tuple[str, ...]: ...


Chosen = TypeVar("Chosen", bound=Tagged)


def select(every: Sequence[Chosen], tags: Iterable[str], field: str = "--tags") -> list[Chosen]:
    """Those that have any of the tags; all where no tag is given. Raises InputError for an unknown tag."""
    wanted = set(tags)
    known = {tag for one in every for tag in one.tags}
    if unknown := sorted(wanted - known):
        problem = f"nothing has the tag {', '.join(map(repr, unknown))}"
        raise InputError(field, problem, f"choose among {', '.join(sorted(known))}")
    return [one for one in every if not wanted or wanted & set(one.tags)]


def texts(owner: str, field: str, given: Iterable[str]) -> tuple[str, ...]:
    """A property that is a list of names; raises InputError where it is something else."""
    if isinstance(given, str) or not all(isinstance(text, str) and text for text in given):
        raise InputError(owner, f"{field} are {given!r}", f'give a list of names, as {field}=["a", "b"]')
    return tuple(given)


def _check(made: Metric) -> None:
    def wrong(problem: str, remedy: str) -> InputError:
        return InputError(f"metric {made.name!r}", problem, remedy)

    if not (isinstance(made.name, str) and NAME.fullmatch(made.name)):
        raise wrong("is no name", "begin with a letter, and use letters, digits, - and _, at most 64")
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
