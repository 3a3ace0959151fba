"""Reads the sentences that a function of the user's own returns or yields: `loader: package.module:function`.

The function is called with the name of a split and the data set's `options`. It gives sentences, one after another, as
pairs of words and tags, or as mappings or objects with `words`, `tags` and, if it has documents, `document`; None or
nothing for a split that it does not have.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from nerbench.artifacts.errors import CorpusError, InputError, pass_interrupts
from nerbench.tasks.config import DatasetConfig, Split
from nerbench.tasks.configuration.usercode import explain, load_function
from nerbench.tasks.configuration.variables import expand_options
from nerbench.tasks.sources.records import Record, read_records
from nerbench.tasks.sources.sentences import Source, shortened

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def read_loader(config: DatasetConfig) -> dict[str, Source]:
    """The splits that the loader has; at most one sentence is held at a time. Sentences count from 0.

    Raises:
        CorpusError: the function cannot be imported or called, or fails; or, while it is read, a sentence is none.
            Names the loader, the sentence, and the line at which it failed.
    """
    name = f"loader {config.loader}"
    function = _import(str(config.loader), name)
    sources: dict[str, Source] = {}
    for split in SPLITS:
        items = _guarded(_call(function, split, config, name), f"{name} ({split})")
        if (first := next(items, None)) is not None:
            sources[split] = _source(f"{name} ({split})", chain([first], items), config)
    if not sources:
        raise CorpusError(name, "gives no sentence of any split", f"let it give those of one of {', '.join(SPLITS)}")
    return sources


def _import(loader: str, name: str) -> Callable[..., Any]:
    try:
        return load_function(loader)
    except InputError as error:
        raise CorpusError(name, error.problem, error.remedy) from error


def _call(function: Callable[..., Any], split: str, config: DatasetConfig, name: str) -> Iterable[Any]:
    options = expand_options(config.options)
    try:
        given = function(split, **options)
        items: Iterable[Any] = () if given is None else iter(given)
    except BaseException as error:
        pass_interrupts(error)
        raise CorpusError(f"{name} ({split})", f"failed with {explain(error)}", _remedy(error)) from error
    return items


def _guarded(items: Iterable[Any], name: str) -> Iterator[Any]:
    """The items; what the loader raises between them becomes one line."""
    iterator = iter(items)
    number = 0
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except BaseException as error:
            pass_interrupts(error)
            raise CorpusError(f"{name} sentence {number}", f"failed with {explain(error)}", _remedy(error)) from error
        yield item
        number += 1


def _source(name: str, items: Iterable[Any], config: DatasetConfig) -> Source:
    def where(number: int) -> str:
        return f"{name} sentence {number}"

    records = (_record(number, item, where(number)) for number, item in enumerate(items))
    sentences = read_records(records, where, config.labels)
    return Source(name, sentences, lambda at, word: f"{where(at)} word {word}")


def _record(number: int, item: Any, at: str) -> Record:
    if isinstance(item, Mapping):
        parts = [item.get(key) for key in ("words", "tags", "document")]
    elif hasattr(item, "words") and hasattr(item, "tags"):
        parts = [item.words, item.tags, getattr(item, "document", None)]
    elif isinstance(item, tuple | list) and len(item) == 2:
        parts = [*item, None]
    else:
        raise CorpusError(
            at,
            f"{shortened(item)} is neither a pair nor has words and tags",
            "give (words, tags), or a mapping or object with words, tags and perhaps document",
        )
    return Record(number, *parts)


def _remedy(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"correct it at {frame.filename}:{frame.lineno}"
