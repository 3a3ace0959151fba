"""Turns texts with spans by character offsets into sentences of words with IOB2 tags.

The data set's `tokenizer` splits a text into words; a line break ends a sentence, except in a span. White space at the
ends of a span does not count. With `invalid: repair`, a span that begins or ends within a word is extended to the whole
word, and a span without a word is left out; with `refuse`, both are errors. Overlapping spans cannot be tags: they are
errors, unless `flatten` decides which ones to keep. An error is raised at the end of the source, with the number of
spans.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.readers import Repairs, Sentence, shortened
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.data.words import Word, split_blanks, split_words

_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset")
LABEL_KEYS = ("label", "labels", "type", "tag")


class Text(NamedTuple):
    """An unchecked text with its annotation."""

    at: int
    """The number of its row, line or item."""
    text: Any
    spans: Any
    """A list of `[start, end, label]` or of mappings with these or similar keys, or a mapping of lists."""
    tokens: Any
    """The words, or mappings with their `start` and `end`; None if there are no tokens."""
    document: Any
    """The name of its document; None if the text is a document."""


class Span(NamedTuple):
    """An entity of a text."""

    start: int
    """The first character; for aligned spans, the first word."""
    end: int
    """The character or word after the last one."""
    label: str
    score: float = math.nan
    """The confidence of a prediction; NaN if it is unknown."""


class SpanFields(NamedTuple):
    """A span as it is written, with an unchecked label."""

    start: int
    end: int
    label: Any


def span_fields(item: Any, at: str, label_keys: Sequence[str] = LABEL_KEYS) -> SpanFields:
    """The fields of `[start, end, label]` or of a mapping with these or similar keys. Raises CorpusError."""
    if isinstance(item, Mapping):
        start, end, label = (_first(item, keys) for keys in (_START, _END, label_keys))
    elif isinstance(item, list | tuple) and len(item) == 3:
        start, end, label = item
    else:
        problem = f"the span {shortened(item)} has an unknown form"
        raise CorpusError(at, problem, "give [start, end, label] for each span")
    return SpanFields(_number(start, item, at), _number(end, item, at), label)


def iob2_tags(spans: Iterable[Span], n_words: int) -> list[str]:
    """One IOB2 tag per word, for disjoint spans by positions of words."""
    tags = [OUTSIDE] * n_words
    for span in spans:
        tags[span.start : span.end] = [f"B-{span.label}", *[f"I-{span.label}"] * (span.end - span.start - 1)]
    return tags


@dataclass(kw_only=True)
class _Refused:
    """The number of spans that cannot be read as they are, and the first one."""

    count: int = 0
    first: tuple[str, str] = ("", "")
    """The place of the first one, and its description."""

    def add(self, at: str, text: str, span: Span) -> None:
        self.first = self.first if self.count else (at, f"{span.label} {span.start}-{span.end} {_shown(text, span)}")
        self.count += 1


@dataclass(kw_only=True)
class SpanReader:
    """Reads the texts of one source. `finish` raises the errors that are counted over all texts."""

    config: DatasetConfig
    labels: Sequence[str] = ()
    """The names of integer labels."""
    _n_spans: int = 0
    _cut: _Refused = field(default_factory=_Refused)
    _overlapping: _Refused = field(default_factory=_Refused)

    def read(self, given: Text, at: str, document: Hashable) -> Iterator[Sentence]:
        """The sentences of a text.

        Raises:
            CorpusError: the text is not a string, a span is invalid or outside of the text, or a token is not in it.
        """
        if not isinstance(given.text, str):
            raise CorpusError(at, f"the text {shortened(given.text)} is not a string", "name another column")
        tokenizer = self.config.tokenizer or ("rules-1" if given.tokens is None else "file")
        words = _words(given, tokenizer, at)
        spans = [span for item in _items(given.spans, at) for span in _spans(item, given.text, self.labels, at)]
        self._n_spans += len(spans)
        aligned, n_cut = self._aligned(spans, words, given.text, at)
        kept = self._disjoint(aligned, words, given.text, at)
        repairs = Repairs(n_cut, len(aligned) - len(kept))
        tags = iob2_tags(kept, len(words))
        for start, end in _sentences(words, given.text, tags):
            texts = [word.text for word in words[start:end]]
            yield Sentence(texts, tags[start:end], document, given.at, repairs, tokenizer)
            repairs = Repairs()

    def finish(self) -> None:
        """Raise CorpusError if the configuration refuses spans that were cut or overlap."""
        for refused, problem, remedy in (
            (self._overlapping, "overlap another one", "choose which to keep: `flatten: longest` or `flatten: outer`"),
            (self._cut, "cut a word or hold none", "choose another `tokenizer`, or `invalid: repair` to extend them"),
        ):
            is_refused = (
                self.config.flatten is None if refused is self._overlapping else self.config.invalid == "refuse"
            )
            if refused.count and is_refused:
                at, span = refused.first
                raise CorpusError(at, f"{refused.count:,} of {self._n_spans:,} spans {problem}, first {span}", remedy)

    def _aligned(self, spans: Iterable[Span], words: Sequence[Word], text: str, at: str) -> tuple[list[Span], int]:
        """The spans by positions of words, and the number of spans that did not match whole words."""
        starts, ends = [word.start for word in words], [word.end for word in words]
        found, n_cut = [], 0
        for span in spans:
            first, after = bisect_right(ends, span.start), bisect_left(starts, span.end)
            if first >= after or (starts[first], ends[after - 1]) != span[:2]:
                n_cut += 1
                self._cut.add(at, text, span)
            if first < after:
                found.append(Span(first, after, span.label))
        return found, n_cut

    def _disjoint(self, spans: list[Span], words: Sequence[Word], text: str, at: str) -> list[Span]:
        by_start = sorted(spans, key=lambda span: (span.start, -span.end))
        end = 0
        for span in by_start:
            if span.start < end:
                self._overlapping.add(at, text, Span(words[span.start].start, words[span.end - 1].end, span.label))
            end = max(end, span.end)
        if self.config.flatten != "outer":
            return _longest(by_start)
        kept: list[Span] = []
        for span in by_start:
            if kept and kept[-1].start < span.start < kept[-1].end < span.end:
                problem = f"{span.label} and {kept[-1].label} overlap, but neither contains the other"
                raise CorpusError(at, f"{problem}: {shortened(text)}", "choose `flatten: longest`")
            if not kept or span.start >= kept[-1].end:
                kept.append(span)
        return kept


def _longest(spans: Sequence[Span]) -> list[Span]:
    """The longest spans that do not overlap; of equally long ones, the first."""
    taken: set[int] = set()
    kept = []
    for span in sorted(spans, key=lambda span: span.start - span.end):
        if taken.isdisjoint(range(span.start, span.end)):
            taken.update(range(span.start, span.end))
            kept.append(span)
    return kept


def _sentences(words: Sequence[Word], text: str, tags: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The first word of each sentence, and the word after its last. A line break within an entity ends no sentence."""
    start = 0
    for number in range(1, len(words) + 1):
        is_last = number == len(words)
        if is_last or (
            not tags[number].startswith("I-") and _breaks(text[words[number - 1].end : words[number].start])
        ):
            yield start, number
            start = number


def _breaks(gap: str) -> bool:
    return "\n" in gap or "\r" in gap


def _words(given: Text, tokenizer: str, at: str) -> list[Word]:
    if tokenizer == "rules-1":
        return split_words(given.text)
    if tokenizer == "whitespace":
        return split_blanks(given.text)
    if given.tokens is None:
        raise CorpusError(at, "there are no tokens in the data", "choose the `tokenizer` rules-1 or whitespace")
    words, end = [], 0
    for token in _items(given.tokens, at):
        start, after = _token(token, given.text, end, at)
        if not end <= start <= after <= len(given.text):
            problem = f"the token {shortened(token)} is not in the text after the token before it"
            raise CorpusError(at, problem, "correct it, or choose the `tokenizer` rules-1")
        end = after
        if text := given.text[start:after].strip():
            start += given.text[start:after].index(text)
            words.append(Word(text, start, start + len(text)))
    return words


def _token(token: Any, text: str, end: int, at: str) -> tuple[int, int]:
    if isinstance(token, str):
        start = text.find(token, end)
        return start, start + len(token)
    start, after = (_first(token, keys) for keys in (_START, _END))
    return _number(start, token, at), _number(after, token, at)


def _items(values: Any, at: str) -> list[Any]:
    if values is None:
        return []
    if isinstance(values, Mapping):  # `datasets` may give a list for each key
        if not all(isinstance(column, list | tuple) for column in values.values()):
            raise CorpusError(at, f"{shortened(values)} is not a list of spans", "name another column in columns.spans")
        lists = {key: column for key, column in values.items() if column}
        if len({len(column) for column in lists.values()}) > 1:
            raise CorpusError(at, f"the lists of spans differ in length: {shortened(values)}", "correct them")
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise CorpusError(at, f"{shortened(values)} is not a list of spans", "give [start, end, label] for each span")
    return list(values)


def _spans(item: Any, text: str, labels: Sequence[str], at: str) -> Iterator[Span]:
    """A span for each label of an item, without white space at its ends."""
    start, end, labelled = span_fields(item, at)
    if not 0 <= start <= end <= len(text):
        problem = f"the span {shortened(item)} lies outside of the text, which has {len(text):,} characters"
        raise CorpusError(at, problem, "correct its offsets, which count Unicode characters from 0")
    written = item.get("text") if isinstance(item, Mapping) else None
    if isinstance(written, str) and written.split() != text[start:end].split():
        problem = f"the span {shortened(written)} is {shortened(text[start:end])} in the text"
        raise CorpusError(at, problem, "correct its offsets, which count Unicode characters from 0")
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    for label in labelled if isinstance(labelled, list | tuple) else [labelled]:
        yield Span(start, end, _label(label, labels, item, at))


def _first(item: Any, keys: Sequence[str]) -> Any:
    return next((item[key] for key in keys if key in item), None) if isinstance(item, Mapping) else None


def _number(value: Any, item: Any, at: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        problem = f"{shortened(item)} has no start and end that are whole numbers"
        raise CorpusError(
            at, problem, "give the offsets of its first character and of the one after its last"
        ) from None


def _label(value: Any, labels: Sequence[str], item: Any, at: str) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(labels):
        return labels[value]
    problem = f"the span {shortened(item)} has no label"
    raise CorpusError(at, problem, "give each span a label; name numbers by the data set's `labels`")


def _shown(text: str, span: Span) -> str:
    return shortened(text[span.start : span.end])
