"""The code that `metrics:` names, loaded: files of a user's own, and scripts of the library `evaluate`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import NamedTuple, TypeVar

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import EvaluateMetric
from nerbench.tasks.configuration.usercode import load_file
from nerbench.tasks.custom.functions import BenchmarkFunction
from nerbench.tasks.scoring.metrics import BUILTIN
from nerbench.tasks.scoring.registry import Metric, registered

Source = str | Path | EvaluateMetric
Own = TypeVar("Own", Metric, BenchmarkFunction)
_collecting = Lock()


class _Found(NamedTuple):
    """What a file defines."""

    path: Path
    metrics: tuple[Metric, ...] = ()
    functions: tuple[BenchmarkFunction, ...] = ()


def collect(sources: Iterable[Source]) -> tuple[Metric, ...]:
    """The metrics that files and scripts define, in order, each with its `source`: `mine.py@<sha256, 12 digits>`.

    Raises:
        InputError: a file is missing, fails, or defines neither a metric nor a benchmark function; two metrics have one
            name, or one has the name of a built-in one; something is declared wrongly.
    """
    known = {one.name for one in BUILTIN}
    found = [(file.path, one) for file in _files(sources) for one in file.metrics]
    for path, one in found:
        if one.name in known:
            problem = f"the metric {one.name!r} ({one.place}) has the name of a built-in one"
            raise InputError(str(path), problem, "rename it")
    return _distinct("metrics", found)


def collect_functions(sources: Iterable[Source]) -> tuple[BenchmarkFunction, ...]:
    """The benchmark functions that files define, as `collect` gives their metrics; raises like it."""
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
    from nerbench.tasks.custom.evaluated import evaluate_metric

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
    """The module and its `source`. Every label that is scored asks: a file runs once as long as it stays as it is."""
    try:
        digest = sha256_file(path)[:12]
    except OSError:  # which `load_file` explains
        digest = ""
    with _collecting:  # labels are scored side by side
        return _run(path, digest), f"{path.name}@{digest}"


@lru_cache(maxsize=32)
def _run(path: Path, digest: str) -> ModuleType:
    try:
        return load_file(path)
    except InputError as error:
        if isinstance(cause := error.__cause__, InputError):  # of the decorator: says itself what is wrong
            raise InputError(f"{path}: {cause.field}", cause.problem, cause.remedy) from error
        raise
