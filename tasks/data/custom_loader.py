"""Reads the sentences that a custom function returns or yields: `loader: package.module:function`.

The function is called with the name of a split and the data set's `options`. It yields sentences as pairs of words and
tags, or as mappings or objects with `words`, `tags` and, if there are documents, `document`. For a split that it does
not have, it yields nothing or returns None. Alternatively, it returns a `datasets.Dataset` of the split or a
`DatasetDict` of all splits, with the columns `tokens` (or `words`), `ner_tags` (or `tags`) and, if there are
documents, `document`.
"""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

from nerbench.artifacts.errors import CorpusError, InputError, pass_interrupts
from nerbench.tasks.config import DatasetConfig, Split
from nerbench.tasks.config.user_code import explain, load_function
from nerbench.tasks.config.variables import expand_options
from nerbench.tasks.data.hub_datasets import read_objects
from nerbench.tasks.data.readers import Source, shortened
from nerbench.tasks.data.records import Record, read_records

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_END = object()


def read_loader(config: DatasetConfig) -> dict[str, Source]:
    """The splits of the loader, one sentence in memory at a time. Sentences are numbered from 0.

    Raises:
        CorpusError: the function cannot be imported or called, or fails; during reading, an item is not a sentence.
            Names the loader, the sentence, and the line of the failure.
    """
    name = f"loader {config.loader}"
    function = _import(str(config.loader), name)
    sources: dict[str, Source] = {}
    for split in SPLITS:
        given = _call(function, split, config, name)
        if _is_dataset(given, "DatasetDict"):
            return read_objects(given, name, config)
        if _is_dataset(given, "Dataset"):
            if len(given):
                (sources[split],) = read_objects(given, name, config).values()
            continue
        items = _guarded(_iterator(given, name, split), f"{name} ({split})")
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


def _call(function: Callable[..., Any], split: str, config: DatasetConfig, name: str) -> Any:
    options = expand_options(config.options)
    with _explained(f"{name} ({split})"):
        return function(split, **options)


def _iterator(given: Any, name: str, split: str) -> Iterator[Any]:
    with _explained(f"{name} ({split})"):
        return iter(() if given is None else given)


@contextmanager
def _explained(at: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        pass_interrupts(error)
        raise CorpusError(at, f"failed with {explain(error)}", _remedy(error)) from error


def _is_dataset(given: Any, kind: str) -> bool:
    """Whether a value is of a class of `datasets`. Does not import it: if there is such a value, it is imported."""
    classes = sys.modules.get("datasets")
    return classes is not None and isinstance(given, getattr(classes, kind))


def _guarded(items: Iterable[Any], name: str) -> Iterator[Any]:
    """The items of the loader. Raises CorpusError in one line for any error of the loader."""
    iterator = iter(items)
    number = 0
    while True:
        with _explained(f"{name} sentence {number}"):
            item = next(iterator, _END)
        if item is _END:
            return
        yield item
        number += 1


def _source(name: str, items: Iterable[Any], config: DatasetConfig) -> Source:
    def where(number: int) -> str:
        return f"{name} sentence {number}"

    records = (_record(number, item, where(number)) for number, item in enumerate(items))
    sentences = read_records(records, where, config)
    return Source(name, sentences, lambda at, word: f"{where(at)} word {word}")


def _record(number: int, item: Any, at: str) -> Record:
    if isinstance(item, Mapping):
        parts = [item.get("words", item.get("tokens")), item.get("tags", item.get("ner_tags")), item.get("document")]
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
