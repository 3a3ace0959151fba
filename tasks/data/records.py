"""Turns records (rows, JSON objects, items of a loader) into sentences, and checks each of them.

A record is a sentence with its tags, or a text with spans (`nerbench.tasks.data.spans`). A record without words is left
out; a record whose only word is `-DOCSTART-` begins a document, as in CoNLL files.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Column, DatasetConfig
from nerbench.tasks.data.readers import MARKER, Sentence, shortened
from nerbench.tasks.data.spans import SpanReader, Text

_DEFAULTS: dict[Column, tuple[str, ...]] = {
    "words": ("tokens", "words"),
    "tags": ("ner_tags", "tags"),
    "text": ("text",),
    "spans": ("entities", "spans", "label", "labels", "ents"),
}


class Record(NamedTuple):
    """An unchecked sentence."""

    at: int
    """The number of its row, line or sentence."""
    words: Any
    tags: Any
    """Strings, or numbers of the data set's `labels`."""
    document: Any
    """The name of its document; None if there are no documents."""


class Columns(NamedTuple):
    """The names of the columns of a sentence."""

    words: str
    tags: str
    document: str | None


class TextColumns(NamedTuple):
    """The names of the columns of a text."""

    text: str
    spans: str
    tokens: str | None
    document: str | None


def find_columns(there: Collection[str], source: str, config: DatasetConfig) -> Columns | TextColumns:
    """The declared columns, or else `tokens` or `words`, and `ner_tags` or `tags`. Documents need to be declared.

    A source is read as texts with spans if it declares `text` or `spans`, or has a `text` but no tags.

    Raises:
        CorpusError: a column is missing; lists the columns of the source.
    """
    document = None if "document" not in config.columns else _find("document", there, source, config)
    has_tags = "tags" in config.columns or any(column in there for column in _DEFAULTS["tags"])
    has_words = {"words", "tags"} & {*config.columns} or any(column in there for column in _DEFAULTS["words"])
    has_spans = any(column in there for column in _DEFAULTS["spans"])
    is_text = "text" in there and not has_tags and (has_spans or not has_words)
    if {"text", "spans"} & {*config.columns} or is_text:
        has_tokens = "tokens" in config.columns or "tokens" in there
        return TextColumns(
            _find("text", there, source, config),
            _find("spans", there, source, config),
            str(config.columns.get("tokens", "tokens")) if has_tokens else None,
            document,
        )
    return Columns(_find("words", there, source, config), _find("tags", there, source, config), document)


def _find(what: Column, there: Collection[str], source: str, config: DatasetConfig) -> str:
    declared = config.columns.get(what)
    wanted = _DEFAULTS[what] if declared is None else (str(declared),)
    if found := [column for column in wanted if column in there]:
        return found[0]
    problem = f"there is no column {' or '.join(map(repr, wanted))}"
    raise CorpusError(source, problem, f"columns.{what} can be one of {', '.join(map(str, there)) or 'none'}")


def record_of(number: int, columns: Columns | TextColumns, values: Sequence[Any]) -> Record | Text:
    """The record with these values of `columns`."""
    return Text(number, *values) if isinstance(columns, TextColumns) else Record(number, *values)


def read_records(
    records: Iterable[Record | Text], where: Callable[[int], str], config: DatasetConfig, labels: Sequence[str] = ()
) -> Iterator[Sentence]:
    """The sentences of records.

    Args:
        where: a function from the number of a record to its place, for messages.
        labels: the names of integer tags, unless `config` declares them.

    Raises:
        CorpusError: words are not a list of strings; there is not one tag per word; a tag is neither a string nor a
            number of `labels`; only some sentences name a document, or the sentences of a document are not adjacent;
            or `SpanReader` refuses a text. Names place and content.
    """
    documents, labels = _Documents(), config.labels or labels
    texts = SpanReader(config=config, labels=labels)
    for record in records:
        at = where(record.at)
        if isinstance(record, Text):
            document = documents.of(record.at if record.document is None else record.document, at)
            yield from texts.read(record, at, document)
        else:
            yield from _sentence(record, at, labels, documents)
    texts.finish()


def _sentence(record: Record, at: str, labels: Sequence[str], documents: "_Documents") -> Iterator[Sentence]:
    words, values = _items(record.words, "words", at), _items(record.tags, "tags", at)
    if len(words) != len(values):
        problem = f"{len(words)} words have {len(values)} tags: {shortened(words)}, {shortened(values)}"
        raise CorpusError(at, problem, "one tag per word is needed")
    for position, word in enumerate(words):
        if not isinstance(word, str):
            problem = f"{shortened(word)} is not a string: {shortened(words)}"
            raise CorpusError(f"{at} word {position}", problem, "words are strings")
    if words == [MARKER]:
        documents.mark()
    elif words:
        tags = [_tag(value, position, labels, at) for position, value in enumerate(values)]
        yield Sentence(words, tags, documents.of(record.document, at), record.at)


def _items(values: Any, what: str, at: str) -> list[Any]:
    if values is None:
        return []
    if isinstance(values, str | bytes | dict | set) or not hasattr(values, "__len__"):
        kind = type(values).__name__
        raise CorpusError(at, f"{what} are not a list but {kind}: {shortened(values)}", f"give {what} as a list")
    return list(values)


def _tag(value: Any, position: int, labels: Sequence[str], at: str) -> str:
    if isinstance(value, str):
        return value
    try:
        number = None if isinstance(value, bool) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise CorpusError(f"{at} word {position}", f"the tag {shortened(value)} is not a string", "tags are strings")
    if not labels:
        problem = f"the tag {number} is a number without a name"
        raise CorpusError(f"{at} word {position}", problem, "declare the data set's `labels`, e.g. [O, B-PER, I-PER]")
    if not 0 <= number < len(labels):
        problem = f"the tag {number} is none of the {len(labels)} labels {shortened(', '.join(labels))}"
        raise CorpusError(f"{at} word {position}", problem, "correct the data set's `labels`")
    return labels[number]


@dataclass
class _Documents:
    """Finds the document of a sentence: a named one, or the one that the last marker began."""

    _marks: int = 0
    _named: bool | None = None
    _last: Any = None
    _seen: set[Any] = field(default_factory=set)

    def mark(self) -> None:
        self._marks += 1

    def of(self, name: Any, at: str) -> Any:
        if self._named is None:
            self._named = name is not None
        if self._named != (name is not None):
            problem = "names a document, unlike the sentences before it" if name is not None else "names no document"
            raise CorpusError(at, problem, "name the document of every sentence or of none")
        if name is None:
            return self._marks or None
        if not isinstance(name, str | int):
            raise CorpusError(at, f"the document {shortened(name)} is neither string nor number", "give its name")
        if name != self._last and name in self._seen:
            problem = f"the document {shortened(name)} comes again after another one"
            raise CorpusError(at, problem, "keep the sentences of a document together")
        self._last = name
        self._seen.add(name)
        return name
