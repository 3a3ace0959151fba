"""Alignment of an annotation that has other sentences and words than a data set, by characters.

White space does not count, so `U.S.` and `U. S.` have the same four characters. Texts are compared in units that become
smaller: documents (if both texts have them), sentences, words and characters. Equal units are not compared further.
Therefore, an annotation with exactly the characters of the data set is aligned exactly, whatever its sentences and
words.

The entities of the annotation become tags of the data set's words:

- If an entity begins or ends inside a word, the word is cut there.
- If an entity continues in the next sentence, the two sentences are joined.
- If a boundary falls between characters that only the data set has (`Yorks` for `York`), it moves to the end of the
  word.
- If the data set has no character of an entity, the entity is added as a sentence without predictions. It counts as
  missed, so that each entity of the annotation counts once.
- If the annotation has no character of a word, the word is left out, because it is not annotated.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.tag_schemes import OUTSIDE

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LEAST_COMMON = 0.5
"""Share of an annotation's characters that must be in the data set; with less, it annotates another text."""
LEAST_ALIKE = 0.5
"""Ratio of `SequenceMatcher` below which two passages without a common word are unrelated."""
MOST_COMPARED = 4_000_000
"""Maximum product of the lengths of passages that are compared character by character, which takes about a second."""


class Alignment(NamedTuple):
    """How the words of a corpus come from those of a data set."""

    source: Numbers
    """(words,) the word of the data set that each is, or is a part of; -1 for a word of the annotation alone."""
    n_unaligned: int
    """Entities of the annotation without any character in the data set."""
    n_left_out: int
    """Words of the data set without any character in the annotation."""
    n_cut: int
    """Places in words of the data set where an entity begins or ends."""


class AlignedAnnotation(NamedTuple):
    """An annotation on the words of a data set."""

    words: Column
    tags: Column
    """IOB2."""
    documents: list[int] | None
    """(sentences,) 0-based; None if the data set has none."""
    alignment: Alignment


class _Text(NamedTuple):
    sentences: Sequence[list[str]]
    documents: Sequence[int] | None
    """(sentences,) as in `Corpus`."""
    chars: str
    """Without white space."""
    ends: list[Numbers]
    """For each level, from large to small units, the positions in `chars` after the units."""


def align_annotation(
    words: Sequence[list[str]],
    documents: Sequence[int] | None,
    annotated: Sequence[list[str]],
    tags: Sequence[list[str]],
    annotated_documents: Sequence[int] | None,
) -> AlignedAnnotation:
    """An annotation (words, IOB2 tags in which every entity begins with `B-`, documents) on the words of a data set.

    Raises:
        ValueError: Less than LEAST_COMMON of its characters are in the data set.
    """
    both = documents is not None and annotated_documents is not None
    here, there = _text(words, documents, both), _text(annotated, annotated_documents, both)
    positions = align_characters(here, there)
    common = np.flatnonzero(positions >= 0)
    if len(common) < LEAST_COMMON * len(positions):
        raise ValueError(f"only {100 * len(common) / len(positions):.0f} % of its characters are in the text")
    entities = _entities(Column.of(tags).flat.to_pylist(), there.ends[-1])
    return _Projection(here, there, entities, common, positions[common]).annotation()


def align_characters(here: _Text, there: _Text) -> Numbers:
    """(characters of `there`,) position in `here`, ascending; -1 for a character that `here` does not have."""
    positions = np.full(len(there.chars), -1, np.int64)
    for start, other, size in _blocks(here, there, (0, len(here.chars)), (0, len(there.chars)), 0):
        positions[other : other + size] = np.arange(start, start + size)
    return positions


def _text(sentences: Sequence[list[str]], documents: Sequence[int] | None, by_document: bool) -> _Text:
    flat = ["".join(word.split()) or " " for sentence in sentences for word in sentence]  # no word without a character
    word_ends = np.cumsum([len(word) for word in flat], dtype=np.int64)
    last = np.cumsum(Column.of(sentences).lengths) - 1
    levels = [word_ends[last], word_ends]
    if by_document:
        levels.insert(0, levels[0][np.flatnonzero(np.diff(np.asarray(documents), append=-1))])
    return _Text(sentences, documents, "".join(flat), levels)


_Span = tuple[int, int]
_Block = tuple[int, int, int]


def _blocks(here: _Text, there: _Text, ours: _Span, theirs: _Span, level: int) -> Iterator[_Block]:
    """Equal runs of characters in two passages: (start in `here`, start in `there`, length), in order."""
    passages = here.chars[slice(*ours)], there.chars[slice(*theirs)]
    if passages[0] == passages[1]:
        yield ours[0], theirs[0], ours[1] - ours[0]
    elif all(passages) and level == len(here.ends):
        for start, other, size in _equal_characters(*passages):
            yield ours[0] + start, theirs[0] + other, size
    elif all(passages):
        a, b = _edges(here.ends[level], *ours), _edges(there.ends[level], *theirs)
        units = [here.chars[start:end] for start, end in pairwise(a)]
        others = [there.chars[start:end] for start, end in pairwise(b)]
        for kind, i, j, k, m in SequenceMatcher(None, units, others).get_opcodes():
            if kind in {"equal", "replace"}:
                yield from _blocks(here, there, (a[i], a[j]), (b[k], b[m]), level + 1)


def _edges(ends: Numbers, start: int, end: int) -> list[int]:
    inner = ends[np.searchsorted(ends, start, side="right") : np.searchsorted(ends, end, side="left")]
    return [start, *inner.tolist(), end]


def _equal_characters(ours: str, theirs: str) -> Iterator[_Block]:
    if len(ours) * len(theirs) > MOST_COMPARED:
        return
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() >= LEAST_ALIKE:
        yield from matcher.get_matching_blocks()


class _Entities(NamedTuple):
    """Arrays with one element per entity of the annotation."""

    first: Numbers
    """Number of the first word over all sentences."""
    after: Numbers
    """Number after the last word."""
    start: Numbers
    """Position of the first character."""
    end: Numbers
    """Position after the last character."""
    type: list[str]


def _entities(tags: list[str], word_ends: Numbers) -> _Entities:
    letters = np.array([tag[0] for tag in tags])
    first, breaks = np.flatnonzero(letters == "B"), np.append(np.flatnonzero(letters != "I"), len(tags))
    after = breaks[np.searchsorted(breaks, first, side="right")]
    starts = np.concatenate([[0], word_ends])
    return _Entities(first, after, starts[first], word_ends[after - 1], [tags[at][2:] for at in first])


class _Projection:
    """Entities of an annotation on the words of a data set."""

    def __init__(self, here: _Text, there: _Text, entities: _Entities, common: Numbers, positions: Numbers) -> None:
        """`common`, `positions`: the characters of the annotation that are in the data set, and where they are."""
        words, documents = here.sentences, here.documents
        self.words, self.annotated = ([*chain.from_iterable(one.sentences)] for one in (here, there))
        self.chars, self.word_ends = here.chars, here.ends[-1]
        self.sentence_of_word = np.repeat(np.arange(len(words)), Column.of(words).lengths)
        self.documents = None if documents is None else np.asarray(documents, np.int64)
        self.entities, self.positions = entities, positions
        self.first, self.after = (np.searchsorted(common, at) for at in (entities.start, entities.end))
        self.start, self.end = self._boundaries()
        self.is_here = self.first < self.after
        if self.documents is not None:  # what would go on from one document to the next is not there
            found, place = np.flatnonzero(self.is_here), self.documents[self.sentence_of_word]
            first, last = (self._word_at(at[found]) for at in (self.start, self.end - 1))
            self.is_here[found] = place[first] == place[last]

    def annotation(self) -> AlignedAnnotation:
        """The annotation on the words that both have, and the entities that the data set lacks after them."""
        pieces, source = self._pieces()
        kept = self._is_common()[source]
        entity = self._entity_of(pieces)[kept]
        source, start, end = source[kept], pieces[:-1][kept], pieces[1:][kept]
        goes_on = np.diff(entity, prepend=-1) == 0
        goes_on &= entity >= 0
        opens = (np.diff(self.sentence_of_word[source], prepend=-1) != 0) & ~goes_on
        texts = self._texts(source, start, end)
        tags = [
            OUTSIDE if number < 0 else f"{'I' if inside else 'B'}-{self.entities.type[number]}"
            for number, inside in zip(entity.tolist(), goes_on.tolist(), strict=True)
        ]
        bounds = [*np.flatnonzero(opens).tolist(), len(source)]
        sentences = [
            (texts[a:b], tags[a:b], source[a:b].tolist(), int(self.sentence_of_word[source[a]]))
            for a, b in pairwise(bounds)
        ]
        return self._built(sentences, start[opens])

    def _boundaries(self) -> tuple[Numbers, Numbers]:
        """Start and end of every entity in the data set's characters; of one that is not there, anything."""
        where = np.concatenate([[0], self.positions, [len(self.chars)]])  # shifted by one
        edges = np.concatenate([[0], self.word_ends])
        start, end = where[self.first + 1], where[self.after] + 1
        free_from = np.where(self.first > 0, where[self.first] + 1, 0)
        free_to = where[self.after + 1]
        at_edge = edges[np.searchsorted(edges, start, side="right") - 1]
        start = np.where(at_edge >= free_from, at_edge, start)
        at_edge = edges[np.minimum(np.searchsorted(edges, end), len(edges) - 1)]
        return start, np.where(at_edge <= free_to, at_edge, end)

    def _word_at(self, position: Numbers) -> Numbers:
        return np.searchsorted(self.word_ends, position, side="right")

    def _is_common(self) -> Flags:
        """(words of the data set,) whether the annotation has any of its characters."""
        found = np.zeros(len(self.words), np.bool_)
        found[self._word_at(self.positions)] = True
        return found

    def _pieces(self) -> tuple[Numbers, Numbers]:
        """The edges of words, cut where entities begin or end, and the word of each part."""
        cuts = self.start[self.is_here], self.end[self.is_here]
        edges = np.unique(np.concatenate([[0], self.word_ends, *cuts]))
        return edges, self._word_at(edges[:-1])

    def _entity_of(self, edges: Numbers) -> Numbers:
        """(parts of words,) number of the entity; -1 for none."""
        found = np.full(len(edges) - 1, -1, np.int64)
        numbers = np.flatnonzero(self.is_here)
        bounds = np.searchsorted(edges, self.start[numbers]), np.searchsorted(edges, self.end[numbers])
        for number, start, end in zip(numbers.tolist(), *(at.tolist() for at in bounds), strict=True):
            found[start:end] = number
        return found

    def _texts(self, source: Numbers, start: Numbers, end: Numbers) -> list[str]:
        whole = end - start == np.diff(self.word_ends, prepend=0)[source]
        return [
            self.words[word] if is_whole else self.chars[a:b]
            for word, is_whole, a, b in zip(*(x.tolist() for x in (source, whole, start, end)), strict=True)
        ]

    def _built(self, sentences: list[tuple[list[str], list[str], list[int], int]], opens: Numbers) -> AlignedAnnotation:
        """The corpus. `opens`: position of the first character of each sentence."""
        lacking: dict[int, list[int]] = {}
        for number in np.flatnonzero(~self.is_here).tolist():
            before = self.positions[self.first[number] - 1] if self.first[number] else 0
            lacking.setdefault(max(0, int(np.searchsorted(opens, before, side="right")) - 1), []).append(number)
        words, tags, source, origin = [], [], [], []
        for at, (texts, its_tags, its_source, sentence) in enumerate(sentences):
            for one in ((texts, its_tags, its_source), *map(self._alone, lacking.get(at, ()))):
                words.append(one[0])
                tags.append(one[1])
                source += one[2]
                origin.append(sentence)
        documents = None
        if self.documents is not None:
            documents = np.unique(self.documents[origin], return_inverse=True)[1].tolist()
        alignment = Alignment(
            source=np.array(source, np.int64),
            n_unaligned=int(np.count_nonzero(~self.is_here)),
            n_left_out=len(self.words) - len({*source} - {-1}),
            n_cut=sum(a == b >= 0 for a, b in pairwise(source)),
        )
        return AlignedAnnotation(Column.of(words), Column.of(tags), documents, alignment)

    def _alone(self, number: int) -> tuple[list[str], list[str], list[int]]:
        """Words, tags and sources of an entity that the data set does not have."""
        texts = self.annotated[self.entities.first[number] : self.entities.after[number]]
        kind = self.entities.type[number]
        return texts, [f"{letter}-{kind}" for letter in ("B", *"I" * (len(texts) - 1))], [-1] * len(texts)
