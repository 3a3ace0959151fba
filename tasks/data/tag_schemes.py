"""Tag schemes: the meaning of each letter before an entity type, and the tags of every scheme as IOB2.

Everything but the readers knows tags as IOB2: `B-PER` begins a `PER`, and `I-PER` continues it.

A type is any text, dashes included: `B-LOC-deriv` is a tag of the type `LOC-deriv`.

| scheme | begins an entity | continues | ends | is one alone |
| --- | --- | --- | --- | --- |
| IOB2 | `B-` | `I-` | `I-` | `B-` |
| IOB1 | `I-`, but `B-` after one of its own type | `I-` | `I-` | as it begins |
| BIOES | `B-` | `I-` | `E-` | `S-` |
| BILOU | `B-` | `I-` | `L-` | `U-` |
| IO | `I-`, or the bare type | as it begins | | |

IOB1 is that of CoNLL-2003 as published (Tjong Kim Sang & Veenstra 1999), BILOU that of Ratinov & Roth (2009).
IO is IOB1 without any `B-`: two entities of one type side by side are one. So a corpus of `I-` alone is recognised as
IOB1, which reads it the same; only bare types (`PER`) must be declared as `io`, since any text could be one.

A tag of IOB2, BIOES or BILOU that continues an entity (`I-`, `E-`, `L-`) is invalid where the word before leaves none
of its type open. A corpus is either refused for it, or the tag is repaired: it begins an entity (`B-`), as conlleval
reads it. Predictions are not repaired; the modes of `nerbench.tasks.scoring.counts` define what it means there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.data.readers import Sentence, Source, shortened

OUTSIDE = "O"


def type_of(tag: str) -> str | None:
    """The entity type of a tag; None for `O`."""
    return None if tag == OUTSIDE else tag[2:]


def entity_types(tags: Iterable[str]) -> list[str]:
    """The entity types among `tags`, sorted."""
    return sorted({tag[2:] for tag in set(tags) if tag != OUTSIDE})


def tag_vocabulary(types: Iterable[str]) -> list[str]:
    """`['O', 'B-LOC', 'I-LOC', …]`: the tags of `types`, ordered by type; the label order of models trained here."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI")]


Scheme = Literal["io", "iob1", "iob2", "bioes", "bilou"]
Declared = Literal["auto"] | Scheme
Invalid = Literal["repair", "refuse"]

BEGINNING, CONTINUING = "BSU", "IEL"
BEGINS_WITH_I: frozenset[Scheme] = frozenset({"io", "iob1"})
"""Schemes in which an `I-` begins an entity where it continues none."""
_LETTERS: Mapping[Declared, str] = {
    "auto": "BIESLU",
    "io": "I",
    "iob1": "BI",
    "iob2": "BI",
    "bioes": "BIES",
    "bilou": "BILU",
}
_TAG = re.compile(r"([BIESLU])-(\S(?:.*\S)?)")


class Tag(NamedTuple):
    """A tag's letter (`O` for no entity) and its entity type (empty for `O`)."""

    letter: str
    type: str

    def continues(self, before: "Tag") -> bool:
        """Whether the tag goes on with an entity that `before` left open."""
        return self.letter in CONTINUING and before.letter in "BI" and self.type == before.type


def split_tag(text: str, scheme: Declared) -> Tag | None:
    """Letter and type of a tag of the scheme, of any but bare IO for `auto`; None for what is none."""
    if text == OUTSIDE:
        return Tag(OUTSIDE, "")
    if not text.isprintable() or text != text.strip() or not text:
        return None
    match = _TAG.fullmatch(text)
    if match:
        return Tag(match[1], match[2]) if match[1] in _LETTERS[scheme] else None
    return Tag("I", text) if scheme == "io" else None


class _Observation(NamedTuple):
    """Something seen in a corpus, and the schemes in which it can be."""

    phrase: str
    schemes: frozenset[Scheme]


_INSIDE_BEGINS = _Observation("an entity begins with I- as in IOB1", frozenset({"iob1"}))
_B_BEGINS = _Observation("an entity begins with B- as in IOB2", frozenset({"iob2", "bioes", "bilou"}))
_LEFT_OPEN = _Observation("an entity ends with B- or I- as in IOB", frozenset({"iob1", "iob2"}))
_BIOES = _Observation("a tag has a letter of BIOES", frozenset({"bioes"}))
_BILOU = _Observation("a tag has a letter of BILOU", frozenset({"bilou"}))
_STRAY_END = _Observation("a tag ends an entity that did not begin", frozenset())
_ONLY_IN = {"E": _BIOES, "S": _BIOES, "L": _BILOU, "U": _BILOU}
_INVALID = (_INSIDE_BEGINS, _STRAY_END)
"""What is invalid where an entity begins with `B-`."""
_PREFERRED: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bilou")


class SchemeEvidence:
    """What the tags of all splits say about their scheme; each pair of neighbouring tags is judged once."""

    def __init__(self, declared: Declared, invalid: Invalid = "repair") -> None:
        self._declared = declared
        self._invalid = invalid
        self._judged: set[tuple[str, str]] = set()
        self._first: dict[_Observation, str] = {}

    def watch(self, source: Source) -> Iterator[Sentence]:
        """The sentences of a source, looked at as they pass.

        Raises:
            CorpusError: a tag belongs to no scheme, or not to the declared one; names its place and its word.
        """
        for sentence in source.sentences:
            for word, pair in enumerate(pairwise((OUTSIDE, *sentence.tags, OUTSIDE))):
                if pair not in self._judged:
                    self._judge(pair, word, sentence, source)
                    self._judged.add(pair)
            yield sentence

    def scheme(self, remedy: str) -> Scheme:
        """The declared scheme, or else the one that everything seen allows; IOB2 where there is no entity to tell.

        Invalid tags that are to be repaired exclude no scheme.

        Raises:
            CorpusError: two places exclude each other; both are named, followed by `remedy`. Or an invalid tag is to be
                refused.
        """
        scheme = self._recognised(remedy) if self._declared == "auto" else self._declared
        if self._invalid == "refuse" and (place := self.first_invalid(scheme)):
            problem = f"the tag continues no entity of its type, which {scheme} does not allow"
            raise CorpusError(place, problem, "correct it, or let `invalid: repair` begin an entity there")
        return scheme

    def first_invalid(self, scheme: Scheme) -> str | None:
        """Where the first tag stands that continues an entity and follows none of its type; None without one."""
        if scheme in BEGINS_WITH_I:
            return None
        return next((place for seen, place in self._first.items() if seen in _INVALID), None)

    def _recognised(self, remedy: str) -> Scheme:
        decisive = [seen for seen in self._first if self._invalid == "refuse" or seen not in _INVALID]
        for one, other in combinations(sorted(decisive, key=lambda seen: len(seen.schemes)), 2):
            if not one.schemes & other.schemes:
                problem = f"{one.phrase}, but at {self._first[other]} {other.phrase}"
                raise CorpusError(self._first[one], problem, remedy)
        possible = [scheme for scheme in _PREFERRED if all(scheme in seen.schemes for seen in decisive)]
        valid = (scheme for scheme in possible if all(scheme in seen.schemes for seen in self._first))
        return next(valid, possible[0])

    def _judge(self, pair: tuple[str, str], word: int, sentence: Sentence, source: Source) -> None:
        """`word` is the position of the second tag of the pair; after the last word that is the sentence's length."""
        before, tag = (split_tag(text, self._declared) for text in pair)
        if before is None or tag is None:
            raise self._no_tag(pair[1], word, sentence, source)
        continues = tag.continues(before)
        seen = []
        if before.letter in "BI" and not continues:
            self._note(_LEFT_OPEN, source, sentence, word - 1)
        if tag.letter == "I" and not continues:
            seen.append(_INSIDE_BEGINS)
        if tag.letter in "EL" and not continues:
            seen.append(_STRAY_END)
        if tag.letter == "B" and before.type != tag.type:
            seen.append(_B_BEGINS)
        if tag.letter in _ONLY_IN:
            seen.append(_ONLY_IN[tag.letter])
        for observation in seen:
            self._note(observation, source, sentence, word)

    def _note(self, observation: _Observation, source: Source, sentence: Sentence, word: int) -> None:
        self._first.setdefault(observation, source.place(sentence.at, word))

    def _no_tag(self, text: str, word: int, sentence: Sentence, source: Source) -> CorpusError:
        shown, its_word = shortened(text), shortened(sentence.words[word])
        kinds = ", ".join(f"{letter}-TYPE" for letter in _LETTERS[self._declared])
        scheme = "" if self._declared == "auto" else f" of the declared scheme {self._declared}"
        return CorpusError(
            source.place(sentence.at, word),
            f"the tag {shown} of the word {its_word} is neither O nor one of {kinds}{scheme}",
            "name the tags' place in `columns`, or declare the `scheme` (io where tags are bare types)",
        )


@dataclass(frozen=True, kw_only=True)
class TagReading:
    """What the labels of a source stand for in the corpus; a label is looked up by its text."""

    tags: Mapping[str, str]
    """The IOB2 tag of each label where it continues an entity, or where its letter alone decides."""
    openings: Mapping[str, str]
    """The IOB2 tag of each label where the word before it leaves no entity of its type open."""
    types: Mapping[str, str]
    """The type as the source names it, empty for none: neighbours are compared before anything is renamed."""
    left_open: Mapping[str, str]
    """The type of the entity that each label leaves open for the next word, as the source names it; empty for none."""

    def read(self, labels: pa.DictionaryArray, starts: npt.NDArray[np.bool_]) -> pa.DictionaryArray:
        """IOB2 tags, one a word, of labels; `starts` is true at the first word of each sentence.

        Raises KeyError for an unknown label.
        """
        known: list[str] = labels.dictionary.to_pylist()
        names = sorted({*self.tags.values(), *self.openings.values()})
        number = {name: code for code, name in enumerate(names)}
        inside = np.array([number[self.tags[label]] for label in known], np.int32)
        opening = np.array([number[self.openings[label]] for label in known], np.int32)
        codes = labels.indices.to_numpy(zero_copy_only=False)
        types, left_open = ([of[label] for label in known] for of in (self.types, self.left_open))
        continues = _continues(types, left_open, codes, starts)
        return pa.DictionaryArray.from_arrays(np.where(continues, inside[codes], opening[codes]), names)


def read_tags(
    labels: Mapping[str, Tag], *, inside_begins: bool, label_map: Mapping[str, str], ignore_labels: frozenset[str]
) -> TagReading:
    """The reading of labels that are split into letter and type.

    Args:
        labels: by their text.
        inside_begins: whether an `I-` begins an entity where it continues none (IOB1, IO, and what is repaired).
        label_map: types of the source renamed.
        ignore_labels: types of the source, by their old name, that are read as `O`.
    """
    tags, openings = {}, {}
    for label, tag in labels.items():
        outside = tag.letter == OUTSIDE or tag.type in ignore_labels
        kind = label_map.get(tag.type, tag.type)
        letter = "B" if tag.letter in BEGINNING else "I"
        tags[label] = OUTSIDE if outside else f"{letter}-{kind}"
        openings[label] = OUTSIDE if outside else f"{'B' if inside_begins else letter}-{kind}"
    return TagReading(
        tags=tags,
        openings=openings,
        types={label: tag.type for label, tag in labels.items()},
        left_open={label: _left_open(tag) for label, tag in labels.items()},
    )


def count_invalid(labels: Sequence[Tag], codes: npt.NDArray[np.intc], starts: npt.NDArray[np.bool_]) -> int:
    """How many words continue an entity that the word before does not leave open.

    Args:
        labels: the distinct tags.
        codes: (words,) positions in `labels`.
        starts: (words,) true at the first word of each sentence.
    """
    is_inside = np.array([tag.letter in CONTINUING for tag in labels])
    continues = _continues([tag.type for tag in labels], [_left_open(tag) for tag in labels], codes, starts)
    return int(np.count_nonzero(is_inside[codes] & ~continues))


def _left_open(tag: Tag) -> str:
    return tag.type if tag.letter in "BI" else ""


def _continues(
    types: Sequence[str], left_open: Sequence[str], codes: npt.NDArray[np.integer], starts: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """(words,) whether the word before, in the same sentence, leaves an entity of the word's type open."""
    kinds = np.unique([*types, *left_open], return_inverse=True)[1]
    its, before = kinds[: len(types)][codes], kinds[len(types) :][codes]
    continues = ~starts
    continues[1:] &= its[1:] == before[:-1]
    return continues
