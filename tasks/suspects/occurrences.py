"""How the same strings, and words in the same case, are annotated elsewhere: in the train split and the annotation.

An occurrence of a string has one label: the type of the entity that consists of exactly these words, `O` if none of
them is in an entity, and PARTLY otherwise.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import log
from typing import NamedTuple

import numpy as np

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.scoring.entities import Codes, Entities, Indices, encode, extract

PARTLY = "partly"
"""The label of a string if an entity has only some of its words, or more words."""
EDGE = "<s>"
"""The word before and after a sentence."""
_SHORT = 3
"""Words in capitals of at most this length are abbreviations."""
_DIGITS = re.compile(r"\d+")
_NO_TITLE = re.compile(r"[\d.]")
String = tuple[str, ...]
"""Normalised words."""
Case = tuple[str, bool, bool]
"""`lower`, `title`, `upper` or `other`; whether the word begins its sentence; and whether that is a headline."""


class Annotation(NamedTuple):
    """The words of a split with one annotation."""

    words: Sequence[str]
    """(words,) normalised by `normalise`."""
    case: Sequence[Case]
    """(words,) how each word is written."""
    sentence: Indices
    """(words,) number of the sentence, from 0."""
    document: Indices | None
    """(words,) number of the document, from 0; None without boundaries."""
    codes: Codes
    """(words,) tags, encoded as by `entities.encode`."""
    entities: Entities
    types: tuple[str, ...]
    sentence_end: Indices
    """(words,) position after the last word of each word's sentence."""

    def string(self, start: int, end: int) -> String:
        """The normalised words from `start` up to `end`."""
        return tuple(self.words[start:end])


def annotation_of(corpus: Corpus, types: tuple[str, ...]) -> Annotation:
    """The words of a corpus, normalised, with its tags; `types` include those of its tags."""
    lengths = corpus.lengths
    ends = np.cumsum(lengths)
    documents = None if corpus.documents is None else np.repeat(np.asarray(corpus.documents, np.int64), lengths)
    codes = encode(Column.of(corpus.tags).flat, types)
    return Annotation(
        words=[normalise(word) for words in corpus.words for word in words],
        case=[case for words in corpus.words for case in _cases(words)],
        sentence=np.repeat(np.arange(len(lengths)), lengths),
        document=documents,
        codes=codes,
        entities=extract(codes, corpus.sentence_starts, "conlleval"),
        types=types,
        sentence_end=np.repeat(ends, lengths),
    )


def normalise(word: str) -> str:
    """A word as it is written outside of headlines: `CZECH` becomes `Czech`, and `U.S.` and `EU` stay."""
    return word.title() if len(word) > _SHORT and word.isupper() and not _NO_TITLE.search(word) else word


def _cases(words: Sequence[str]) -> Iterator[Case]:
    """The case of each word of a sentence; a headline has more words in capitals than in lower case."""
    headline = sum(map(str.isupper, words)) > sum(word[:1].islower() for word in words)
    for number, word in enumerate(words):
        title = "upper" if len(word) > 1 and word.isupper() else "title"
        yield "lower" if word[:1].islower() else title if word[:1].isupper() else "other", number == 0, headline


def entity_log_odds(annotations: Iterable[Annotation]) -> Mapping[Case, float]:
    """The log-odds that a word is in an entity, by its case."""
    found: Counter[tuple[Case, bool]] = Counter()
    for one in annotations:
        found.update(zip(one.case, (one.codes != 0).tolist(), strict=True))
    return {case: log(found[case, True] + 1) - log(found[case, False] + 1) for case, _ in found}


class Occurrence(NamedTuple):
    """One place at which a string occurs."""

    string: String
    start: int
    """Position of its first word."""
    label: str


def find_occurrences(annotation: Annotation, wanted: Collection[String]) -> Iterator[Occurrence]:
    """Every occurrence of the wanted strings within sentences, in the order of the words."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for first, length in sorted({(string[0], len(string)) for string in wanted}):
        lengths[first].append(length)
    words, ends = annotation.words, annotation.sentence_end
    label_of = _Labels(annotation)
    for start, word in enumerate(words):
        for length in lengths.get(word, ()):
            string = tuple(words[start : start + length])
            if string in wanted and start + length <= ends[start]:
                yield Occurrence(string, start, label_of(start, start + length))


class _Labels:
    """The labels of strings by position."""

    def __init__(self, annotation: Annotation) -> None:
        names = [annotation.types[kind] for kind in annotation.entities.type.tolist()]
        self._type: dict[tuple[int, int], str] = dict(zip(_spans(annotation), names, strict=True))
        self._before = [0, *np.cumsum(annotation.codes != 0).tolist()]

    def __call__(self, start: int, end: int) -> str:
        exact = self._type.get((start, end))
        if exact is not None:
            return exact
        return OUTSIDE if self._before[end] == self._before[start] else PARTLY


class Counted:
    """How often each string has each label: in the whole annotation, and in each document of it."""

    def __init__(self, annotation: Annotation | None, wanted: Collection[String]) -> None:
        self._all: dict[String, Counter[str]] = defaultdict(Counter)
        self._of_document: dict[tuple[String, int], Counter[str]] = defaultdict(Counter)
        if annotation is None:
            return
        for string, start, label in find_occurrences(annotation, wanted):
            self._all[string][label] += 1
            if annotation.document is not None:
                self._of_document[string, int(annotation.document[start])][label] += 1

    def labels(self, string: String) -> Counter[str]:
        """The number of occurrences by label."""
        return self._all.get(string, _NONE)

    def labels_in(self, string: String, document: int | None) -> Counter[str]:
        """The same in one document; none in a split without documents."""
        return _NONE if document is None else self._of_document.get((string, document), _NONE)


_NONE: Counter[str] = Counter()


def remembered(annotation: Annotation, train: Annotation | None) -> Entities:
    """The entities that the strings suggest, by how they are annotated elsewhere: the longest match from left to right.

    A string is an entity if most of its other occurrences, in `train` and in the annotation itself, have one type. Any
    other entity of the annotation stays, unless most other occurrences of its string are outside of entities.
    """
    strings = {known.string(*span) for known in (annotation, train) if known is not None for span in _spans(known)}
    trained = Counted(train, strings)
    here = list(find_occurrences(annotation, strings))
    totals: dict[String, Counter[str]] = defaultdict(Counter)
    for string, _, label in here:
        totals[string][label] += 1
    kinds = {name: number for number, name in enumerate(annotation.types)}
    suggested: list[tuple[int, int, int]] = []
    denied: set[tuple[int, int]] = set()
    for string, start, label in sorted(here, key=lambda one: (one.start, -len(one.string))):
        span = start, start + len(string)
        others = totals[string] + trained.labels(string)
        others[label] -= 1
        best, n = max(others.items(), key=lambda one: one[1])
        if 2 * n <= others.total():
            continue
        if best == OUTSIDE:
            denied.add(span)
        elif best in kinds and not (suggested and start < suggested[-1][1]):
            suggested.append((*span, kinds[best]))
    taken = {word for start, end, _ in suggested for word in range(start, end)}
    kept = [
        (*span, kind)
        for span, kind in zip(_spans(annotation), annotation.entities.type.tolist(), strict=True)
        if span not in denied and taken.isdisjoint(range(*span))
    ]
    columns = np.array(sorted([*suggested, *kept]), np.int64).reshape(-1, 3)
    return Entities(columns[:, 0], columns[:, 1], columns[:, 2], 0)


def _spans(annotation: Annotation) -> list[tuple[int, int]]:
    """First word and word after the last one of each entity."""
    return list(zip(annotation.entities.start.tolist(), annotation.entities.end.tolist(), strict=True))


def context(annotation: Annotation, start: int, end: int) -> tuple[str, str]:
    """The words before and after some words of a sentence, each number as `0`: what rows of a table share."""
    sentence = annotation.sentence[start]
    before = annotation.words[start - 1] if start and annotation.sentence[start - 1] == sentence else EDGE
    after = annotation.words[end] if end < annotation.sentence_end[start] else EDGE
    return _DIGITS.sub("0", before), _DIGITS.sub("0", after)
