"""Tag schemes: the meaning of the letter before an entity type, and the conversion of all schemes to IOB2.

All code except the readers uses IOB2 tags: `B-PER` begins a `PER`, and `I-PER` continues it.

A type can be any text, including dashes: `B-LOC-deriv` is a tag of the type `LOC-deriv`.

| scheme | first word of an entity | inner word | last word | single word |
| --- | --- | --- | --- | --- |
| IOB2 | `B-` | `I-` | `I-` | `B-` |
| IOB1 | `I-`, but `B-` after an entity of its type | `I-` | `I-` | as a first word |
| BIOES | `B-` | `I-` | `E-` | `S-` |
| BILOU | `B-` | `I-` | `L-` | `U-` |
| IO | `I-`, or the bare type | the same | the same | the same |

IOB1 (Tjong Kim Sang & Veenstra 1999) is the scheme of CoNLL-2003 as published; BILOU is from Ratinov & Roth (2009).
IO is IOB1 without `B-`: two adjacent entities of one type are one. A corpus with only `I-` is recognised as IOB1, which
reads it in the same way. Bare types (`PER`) must be declared as `io`, since any text could be a bare type.

In IOB2, BIOES and BILOU, a tag that continues an entity (`I-`, `E-`, `L-`) is invalid if the previous word does not
leave an entity of its type open. In a corpus, such a tag is either an error or repaired: it begins an entity (`B-`), as
in conlleval. Predictions are not repaired; the modes of `nerbench.tasks.scoring.counts` define its meaning there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.artifacts.arrow_arrays import dictionary_array, dictionary_indices
from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.data.readers import Sentence, Source, shortened

OUTSIDE = "O"


def type_of(tag: str) -> str | None:
    """The entity type of a tag; None for `O`."""
    return None if tag == OUTSIDE else tag[2:]


def entity_types(tags: Iterable[str]) -> list[str]:
    """The entity types among `tags`, sorted."""
    return sorted({tag[2:] for tag in set(tags) if tag != OUTSIDE})


class Mention(NamedTuple):
    """An entity of a sentence."""

    start: int
    end: int
    """The position after its last word."""
    type: str


def mentions_of(tags: Sequence[str]) -> Iterator[Mention]:
    """The entities of valid IOB2 tags of a sentence, in order."""
    start = 0
    for at, tag in enumerate([*tags, OUTSIDE]):
        if at and tags[at - 1] != OUTSIDE and (tag == OUTSIDE or tag.startswith("B-")):
            yield Mention(start, at, type_of(tags[start]) or "")
        if tag.startswith("B-"):
            start = at


def tag_vocabulary(types: Iterable[str]) -> list[str]:
    """The tags of `types` in the order of the labels of trained models: `['O', 'B-LOC', 'I-LOC', …]`."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI")]


Scheme = Literal["io", "iob1", "iob2", "bioes", "bilou"]
Declared = Literal["auto"] | Scheme
Invalid = Literal["repair", "refuse"]

BEGINNING, CONTINUING = "BSU", "IEL"
BEGINS_WITH_I: frozenset[Scheme] = frozenset({"io", "iob1"})
"""Schemes in which an `I-` that does not continue an entity begins one."""
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
        """Whether the tag continues an entity that `before` leaves open."""
        return self.letter in CONTINUING and before.letter in "BI" and self.type == before.type


def split_tag(text: str, scheme: Declared) -> Tag | None:
    """Letter and type of a tag of a scheme; None if the text is not a tag. `auto`: all schemes except bare types."""
    if text == OUTSIDE:
        return Tag(OUTSIDE, "")
    if not text.isprintable() or text != text.strip() or not text:
        return None
    match = _TAG.fullmatch(text)
    if match:
        return Tag(match[1], match[2]) if match[1] in _LETTERS[scheme] else None
    return Tag("I", text) if scheme == "io" else None


class _Observation(NamedTuple):
    """An observation in a corpus, and the schemes that are compatible with it."""

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
"""Observations that are invalid in schemes in which entities begin with `B-`."""
_PREFERRED: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bilou")


class SchemeEvidence:
    """Collects evidence about the tag scheme from the tags of all splits; each pair of adjacent tags counts once."""

    def __init__(self, declared: Declared, invalid: Invalid = "repair") -> None:
        self._declared = declared
        self._invalid = invalid
        self._judged: set[tuple[str, str]] = set()
        self._first: dict[_Observation, str] = {}

    def watch(self, source: Source) -> Iterator[Sentence]:
        """The sentences of a source. Collects evidence from each of them.

        Raises:
            CorpusError: a tag belongs to no scheme, or not to the declared one; names the place and the word.
        """
        for sentence in source.sentences:
            for word, pair in enumerate(pairwise((OUTSIDE, *sentence.tags, OUTSIDE))):
                if pair not in self._judged:
                    self._judge(pair, word, sentence, source)
                    self._judged.add(pair)
            yield sentence

    def scheme(self, remedy: str) -> Scheme:
        """The declared scheme, or else the one that is compatible with all evidence; IOB2 if there are no entities.

        Invalid tags exclude no scheme if they are repaired.

        Raises:
            CorpusError: two observations contradict each other (names both places, followed by `remedy`), or an
                invalid tag is refused.
        """
        scheme = self._recognised(remedy) if self._declared == "auto" else self._declared
        if self._invalid == "refuse" and (place := self.first_invalid(scheme)):
            problem = f"the tag continues no entity of its type, which {scheme} does not allow"
            raise CorpusError(place, problem, "correct it, or let `invalid: repair` begin an entity there")
        return scheme

    def first_invalid(self, scheme: Scheme) -> str | None:
        """The place of the first invalid tag in a scheme; None if there is none."""
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
        """`word`: the position of the second tag of the pair; the length of the sentence for the pair at its end."""
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
    """The IOB2 tags that the labels of a source stand for, by the text of a label."""

    tags: Mapping[str, str]
    """The IOB2 tag of each label if it continues an entity, or if its letter is sufficient."""
    openings: Mapping[str, str]
    """The IOB2 tag of each label if the previous word leaves no entity of its type open."""
    types: Mapping[str, str]
    """The original type of each label, empty for none: adjacent tags are compared before types are renamed."""
    left_open: Mapping[str, str]
    """The original type of the entity that each label leaves open for the next word; empty for none."""
    label_map: Mapping[str, str]
    """The new names of those original types that were renamed."""

    def read(self, labels: pa.DictionaryArray, starts: npt.NDArray[np.bool_]) -> pa.DictionaryArray:
        """The IOB2 tags of labels, one per word; `starts` is true at the first word of each sentence.

        Raises KeyError for an unknown label.
        """
        known: list[str] = labels.dictionary.to_pylist()
        names = sorted({*self.tags.values(), *self.openings.values()})
        number = {name: code for code, name in enumerate(names)}
        inside = np.array([number[self.tags[label]] for label in known], np.int32)
        opening = np.array([number[self.openings[label]] for label in known], np.int32)
        codes = dictionary_indices(labels)
        types, left_open = ([of[label] for label in known] for of in (self.types, self.left_open))
        continues = _continues(types, left_open, codes, starts)
        return dictionary_array(np.where(continues, inside[codes], opening[codes]), names)


def read_tags(
    labels: Mapping[str, Tag], *, inside_begins: bool, label_map: Mapping[str, str], ignore_labels: frozenset[str]
) -> TagReading:
    """The meaning of labels that are split into letter and type.

    Args:
        labels: letter and type, by the text of the label.
        inside_begins: whether an `I-` that does not continue an entity begins one (IOB1, IO, and repaired corpora).
        label_map: new names of types.
        ignore_labels: original names of types that are read as `O`.
    """
    tags, openings = {}, {}
    for label, tag in labels.items():
        outside = tag.letter == OUTSIDE or tag.type in ignore_labels
        kind = label_map.get(tag.type, tag.type)
        letter = "B" if tag.letter in BEGINNING else "I"
        tags[label] = OUTSIDE if outside else f"{letter}-{kind}"
        openings[label] = OUTSIDE if outside else f"{'B' if inside_begins else letter}-{kind}"
    types = {label: tag.type for label, tag in labels.items()}
    return TagReading(
        tags=tags,
        openings=openings,
        types=types,
        left_open={label: _left_open(tag) for label, tag in labels.items()},
        label_map={kind: name for kind, name in label_map.items() if kind in types.values()},
    )


def count_invalid(labels: Sequence[Tag], codes: npt.NDArray[np.intc], starts: npt.NDArray[np.bool_]) -> int:
    """The number of words whose tag continues an entity that the previous word does not leave open.

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
    """(words,) whether the previous word of the sentence leaves an entity of the word's type open."""
    kinds = np.unique([*types, *left_open], return_inverse=True)[1]
    its, before = kinds[: len(types)][codes], kinds[len(types) :][codes]
    continues = ~starts
    continues[1:] &= its[1:] == before[:-1]
    return continues
