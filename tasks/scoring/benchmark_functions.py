"""Custom benchmark functions, and the loading of all code that `metrics:` names.

A benchmark function works on a model, its files, a corpus, predictions, or none of them.

import nerbench

    @nerbench.benchmark_function(tags=["size"], unit="bytes")
    def size(artifact_path): ...

    @nerbench.product(batch=[1, 8], words=[16, 128], unit="s")
    def first_call(model, tokenizer, batch, words): ...

Like a metric, a function is registered in the file that defines it.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product as cartesian
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, overload

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import EvaluateMetric
from nerbench.tasks.config.user_code import load_file
from nerbench.tasks.scoring.metrics import BUILTIN, NAME, Function, Metric, defined_at, note, registered, texts

OF_MODEL = ("artifact_path", "model", "predictions", "tokenizer")
"""Arguments that make a function run for each benchmarked model."""
OF_CORPUS = ("corpus", "predictions")
"""Arguments that make a function run for each annotation of each data set."""
HANDLES = tuple(sorted({*OF_MODEL, *OF_CORPUS}))
"""Names of the arguments that nerbench supplies."""
_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_collecting = Lock()


class State(NamedTuple):
    """Facts about a call that `setUp` and `tearDown` get besides its parameters, as in nnbench."""

    name: str
    """The function, with its parameters if it has any."""
    family: str
    """The name of the function."""
    family_size: int
    """The number of calls of the function."""
    family_index: int
    """The number of this call, from 0."""


Hook = Callable[[State, Mapping[str, Any]], object]


def nothing(state: State, parameters: Mapping[str, Any]) -> None:
    """The default before and after a call: do nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkFunction:
    """A function that returns a number, or several numbers by name, and its arguments."""

    name: str
    compute: Callable[..., Any]
    tags: tuple[str, ...] = ()
    """Tags for selection."""
    unit: str | None = None
    """Unit of the value."""
    parameters: Sequence[Mapping[str, Any]] = ({},)
    """The keyword arguments of each call."""
    setUp: Hook = nothing
    """Called before each call, and not timed."""
    tearDown: Hook = nothing
    """Called after each call, even after a failed one."""
    source: str | None = None
    """File, with its digest."""

    def __post_init__(self) -> None:
        """Raise InputError for a property that cannot be used."""
        _check(self)

    @property
    def handles(self) -> tuple[str, ...]:
        """The supplied arguments that it takes, by name."""
        return tuple(name for name in inspect.signature(self.compute).parameters if name in HANDLES)

    @property
    def of_model(self) -> bool:
        """Whether it is called for each model."""
        return any(name in OF_MODEL for name in self.handles)

    @property
    def of_corpus(self) -> bool:
        """Whether it is called for each annotation of each data set."""
        return any(name in OF_CORPUS for name in self.handles)

    @property
    def place(self) -> str:
        """Where it is defined, as `file.py:3`."""
        return defined_at(self.compute)


@overload
def benchmark_function(function: Function, /) -> Function: ...


@overload
def benchmark_function(
    *,
    name: str | None = None,
    setUp: Hook = nothing,
    tearDown: Hook = nothing,
    tags: Sequence[str] = (),
    unit: str | None = None,
) -> Callable[[Function], Function]: ...


def benchmark_function(function: Any = None, /, **properties: Any) -> Any:
    """Register a function to be called once. Returns it unchanged. Its arguments are handles by name: `artifact_path`
    (a folder), `corpus`, `model` and `tokenizer` (of transformers), `predictions` (as for metrics).

    `setUp(state, parameters)` and `tearDown(state, parameters)` are called before and after it and are not timed.

    Raises:
        InputError: A property or an argument of the function cannot be used.

    >>> import nerbench
    >>> @nerbench.benchmark_function(unit="bytes")  # in a file that `metrics` of the configuration names
    ... def size(artifact_path):
    ...     return sum(file.stat().st_size for file in artifact_path.iterdir())
    """
    register = parametrize([{}], **properties)
    return register if function is None else register(function)


def parametrize(  # noqa: PLR0913 - nnbench's properties, and a unit
    parameters: Iterable[Mapping[str, Any]],
    *,
    name: str | None = None,
    setUp: Hook = nothing,
    tearDown: Hook = nothing,
    tags: Sequence[str] = (),
    unit: str | None = None,
) -> Callable[[Function], Function]:
    """Like `benchmark_function`, called with each of these mappings from keywords to plain values (as in JSON).

    >>> import nerbench
    >>> @nerbench.parametrize([{"words": 8}, {"words": 128}], unit="tokens")
    ... def tokens(tokenizer, words):
    ...     return len(tokenizer(["Oslo"] * words, is_split_into_words=True)["input_ids"])
    """
    every = [dict(one) for one in parameters]

    def register(function: Function) -> Function:
        known = name or function.__name__
        note(
            function,
            BenchmarkFunction(
                name=known,
                compute=function,
                tags=texts(f"benchmark function {known!r}", "tags", tags),
                unit=unit,
                parameters=every,
                setUp=setUp,
                tearDown=tearDown,
            ),
        )
        return function

    return register


def product(
    *,
    name: str | None = None,
    setUp: Hook = nothing,
    tearDown: Hook = nothing,
    tags: Sequence[str] = (),
    unit: str | None = None,
    **values: Iterable[Any],
) -> Callable[[Function], Function]:
    """Like `parametrize`, with every combination of these values; the last keyword changes fastest.

    >>> import nerbench
    >>> @nerbench.product(batch=[1, 8], words=[8, 128], unit="tokens")
    ... def tokens(tokenizer, batch, words):
    ...     return batch * len(tokenizer(["Oslo"] * words, is_split_into_words=True)["input_ids"])
    """
    every = [dict(zip(values, one, strict=True)) for one in cartesian(*values.values())]
    return parametrize(every, name=name, setUp=setUp, tearDown=tearDown, tags=tags, unit=unit)


def _check(made: BenchmarkFunction) -> None:
    def wrong(problem: str, remedy: str) -> InputError:
        return InputError(f"benchmark function {made.name!r}", problem, remedy)

    if not NAME.fullmatch(made.name):
        raise wrong("is not a valid name", "begin with a letter, and use letters, digits, - and _, at most 64")
    if not inspect.isfunction(inspect.unwrap(made.compute)):
        raise wrong(f"decorates no function but {type(made.compute).__name__}", "decorate a function")
    if not made.parameters:
        raise wrong("has no parameters to be called with", "give at least one value of each")
    taken = inspect.signature(made.compute).parameters
    any_keyword = any(one.kind is one.VAR_KEYWORD for one in taken.values())
    needed = {name for name, one in taken.items() if one.default is one.empty and one.kind not in _SEVERAL}
    for given in made.parameters:
        if reserved := sorted(set(given) & set(HANDLES)):
            raise wrong(f"has a parameter called {reserved[0]!r}, as a handle is", "rename it")
        if not any_keyword and (unknown := sorted(set(given) - set(taken))):
            raise wrong(f"does not take its parameter {unknown[0]!r}", "add it to the function's arguments")
        if missing := sorted(needed - set(given) - set(HANDLES)):
            remedy = f"give it by parametrize or product, or name one of {', '.join(HANDLES)}"
            raise wrong(f"takes {missing[0]!r}, which has no value", remedy)
        try:
            json.dumps(given, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise wrong(f"has the parameters {given} ({error})", "give text, numbers, lists and mappings") from None


Source = str | Path | EvaluateMetric
Own = TypeVar("Own", Metric, BenchmarkFunction)


class _Found(NamedTuple):
    """The definitions in a file."""

    path: Path
    metrics: tuple[Metric, ...] = ()
    functions: tuple[BenchmarkFunction, ...] = ()


def collect(sources: Iterable[Source]) -> tuple[Metric, ...]:
    """The metrics that files and scripts define, in order, each with its `source`: `mine.py@<sha256, 12 digits>`.

    Raises:
        InputError: A file is missing, fails, or defines neither a metric nor a benchmark function; two metrics have one
            name; one has the name of a built-in metric; or a declaration is invalid.
    """
    known = {one.name for one in BUILTIN}
    found = [(file.path, one) for file in _files(sources) for one in file.metrics]
    for path, one in found:
        if one.name in known:
            problem = f"the metric {one.name!r} ({one.place}) has the name of a built-in one"
            raise InputError(str(path), problem, "rename it")
    return _distinct("metrics", found)


def collect_functions(sources: Iterable[Source]) -> tuple[BenchmarkFunction, ...]:
    """The benchmark functions that files define, like the metrics of `collect`. Raises like `collect`."""
    return _distinct("benchmark functions", [(file.path, one) for file in _files(sources) for one in file.functions])


def _distinct(kind: str, found: Iterable[tuple[Path, Own]]) -> tuple[Own, ...]:
    by_name: dict[str, Own] = {}
    for path, one in found:
        if earlier := by_name.get(one.name):
            problem = f"two {kind} are called {one.name!r}: {earlier.place} and {one.place}"
            raise InputError(str(path), problem, "rename one")
        by_name[one.name] = one
    return tuple(by_name.values())


def _files(sources: Iterable[Source]) -> Iterator[_Found]:
    for source in sources:
        path = Path(source.evaluate if isinstance(source, EvaluateMetric) else source)
        yield _scripted(path, source) if isinstance(source, EvaluateMetric) else _defined(path)


def _scripted(path: Path, config: EvaluateMetric) -> _Found:
    module, source = _loaded(path)
    from nerbench.tasks.scoring.user_metrics import evaluate_metric

    return _Found(path, metrics=(replace(evaluate_metric(module, config), source=source),))


def _defined(path: Path) -> _Found:
    module, source = _loaded(path)
    metrics, functions = registered(vars(module), Metric), registered(vars(module), BenchmarkFunction)
    if not (metrics or functions):
        remedy = 'decorate a function with @metric("its_name") or @benchmark_function() of nerbench'
        raise InputError(str(path), "it defines no metric and no benchmark function", remedy)
    return _Found(
        path,
        tuple(replace(one, source=source) for one in metrics),
        tuple(replace(one, source=source) for one in functions),
    )


def _loaded(path: Path) -> tuple[ModuleType, str]:
    """The module and its `source`. It is requested for every scored label: a file runs once as long as it does not
    change."""
    try:
        digest = sha256_file(path)[:12]
    except OSError:  # `load_file` raises the error
        digest = ""
    with _collecting:  # labels are scored in parallel
        return _run(path, digest), f"{path.name}@{digest}"


@lru_cache(maxsize=32)
def _run(path: Path, digest: str) -> ModuleType:
    try:
        return load_file(path)
    except InputError as error:
        if isinstance(cause := error.__cause__, InputError):  # a decorator's error is complete
            raise InputError(f"{path}: {cause.field}", cause.problem, cause.remedy) from error
        raise
