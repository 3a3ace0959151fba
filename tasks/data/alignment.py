"""Alignment of an annotation that has other sentences and words than a data set, by characters.

White space does not count, so `U.S.` and `U. S.` have the same four characters. An annotation with exactly the
characters of the data set is aligned exactly, whatever its sentences and words.

The entities of the annotation become tags of the data set's words:

- If an entity begins or ends inside a word, the word is cut there.
- If an entity continues in the next sentence, the two sentences are joined.
- If a boundary falls between characters that only the data set has (`Yorks` for `York`), it moves to the end of the
  word.
- If the data set has less than half of the characters of an entity, the entity is added as a sentence without
  predictions. It counts as missed, so that each entity of the annotation counts once.
- If the annotation has less than half of the characters of a word, the word is left out, because it is not annotated.

The characters that both texts have, in the same order, are found from anchors: passages that occur once in each text,
first sentences, then runs of characters, long ones first (RUNS). The longest series of anchors that is in order in both
texts is kept, as in patience diff. Therefore, repeated passages are not confused, and the time is nearly linear.
Between two anchors, shorter runs are compared, and in the end single characters, by difflib.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.tag_schemes import OUTSIDE

Numbers = npt.NDArray[np.int64]

RUNS = (32, 16)
"""Lengths of the runs of characters that are anchors."""
LEAST_ALIKE = 0.5
"""Ratio of `SequenceMatcher` below which two passages between anchors are unrelated."""
MOST_COMPARED = 4_000_000
"""Maximum product of the lengths of passages that are compared by difflib, which takes about a second."""


class Text(NamedTuple):
    """A text without white space."""

    chars: str
    sentence_ends: Numbers
    """(sentences,) position after the last character."""


class Block(NamedTuple):
    """Equal passages of two texts."""

    here: int
    there: int
    size: int


def common_characters(here: Text, there: Text) -> Numbers:
    """(characters of `there`,) ascending positions in `here`; -1 for characters that `here` does not have."""
    positions = np.full(len(there.chars), -1, np.int64)
    for block in _blocks(here, there, (0, len(here.chars)), (0, len(there.chars)), 0):
        positions[block.there : block.there + block.size] = np.arange(block.here, block.here + block.size)
    return positions


_Span = tuple[int, int]


def _blocks(here: Text, there: Text, ours: _Span, theirs: _Span, level: int) -> Iterator[Block]:
    """Equal passages in two spans, in order."""
    passages = here.chars[slice(*ours)], there.chars[slice(*theirs)]
    if passages[0] == passages[1]:
        yield Block(ours[0], theirs[0], ours[1] - ours[0])
    elif all(passages) and level > len(RUNS):
        yield from (Block(ours[0] + at, theirs[0] + other, size) for at, other, size in _by_character(*passages))
    elif all(passages):
        i, k = ours[0], theirs[0]
        keys = [_unique(_keys(text, *span, level)) for text, span in ((here, ours), (there, theirs))]
        pairs = [Block(at, keys[1][key], len(key)) for key, at in keys[0].items() if key in keys[1]]
        for at, other, size in [*_in_order(pairs), Block(ours[1], theirs[1], 0)]:
            done = i - at if at < i and at - other == i - k else 0  # a run that continues the last one
            if at + done >= i and other + done >= k:
                yield from _blocks(here, there, (i, at + done), (k, other + done), level + 1)
                yield Block(at + done, other + done, size - done)
                i, k = at + size, other + size


def _keys(text: Text, start: int, end: int, level: int) -> Iterator[tuple[str, int]]:
    """The sentences or runs of a span, and their positions."""
    if level == 0:
        inner = text.sentence_ends[(text.sentence_ends > start) & (text.sentence_ends < end)]
        yield from ((text.chars[a:b], a) for a, b in pairwise([start, *inner.tolist(), end]))
    else:
        size = RUNS[level - 1]
        yield from ((text.chars[at : at + size], at) for at in range(start, end - size + 1))


def _unique(keys: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The keys that occur once."""
    found: dict[str, int] = {}
    for key, at in keys:
        found[key] = -1 if key in found else at
    return {key: at for key, at in found.items() if at >= 0}


def _in_order(blocks: list[Block]) -> list[Block]:
    """The longest series that ascends in `there`, of blocks that ascend in `here`."""
    ends: list[int] = []
    last: list[int] = []
    before = []
    for number, block in enumerate(blocks):
        length = bisect_left(ends, block.there)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [block.there]
        last[length : length + 1] = [number]
    chosen, number = [], last[-1] if last else -1
    while number >= 0:
        chosen.append(blocks[number])
        number = before[number]
    return chosen[::-1]


def _by_character(ours: str, theirs: str) -> Iterator[tuple[int, int, int]]:
    if len(ours) * len(theirs) > MOST_COMPARED:
        return
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() >= LEAST_ALIKE:
        yield from matcher.get_matching_blocks()


Flags = npt.NDArray[np.bool_]

LEAST_COMMON = 0.5
"""Share of an annotation's characters that must be in the data set; with less, it annotates another text."""


class Alignment(NamedTuple):
    """How the words of a corpus come from those of a data set."""

    source: Numbers
    """(words,) the word of the data set that each is, or is a part of; -1 for a word of the annotation alone."""
    n_unaligned: int
    """Entities of the annotation that the data set does not have."""
    n_left_out: int
    """Words of the data set that the annotation does not have."""
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


class _Words(NamedTuple):
    sentences: Sequence[list[str]]
    text: Text
    ends: Numbers
    """(words,) position after the last character."""


def align_annotation(
    words: Sequence[list[str]],
    documents: Sequence[int] | None,
    annotated: Sequence[list[str]],
    tags: Sequence[list[str]],
) -> AlignedAnnotation:
    """An annotation (words and IOB2 tags in which every entity begins with `B-`) on the words of a data set.

    Raises:
        ValueError: Less than LEAST_COMMON of its characters are in the data set.
    """
    here, there = _words(words), _words(annotated)
    positions = common_characters(here.text, there.text)
    common = np.flatnonzero(positions >= 0)
    if len(common) < LEAST_COMMON * len(positions):
        raise ValueError(f"only {100 * len(common) / len(positions):.0f} % of its characters are in the text")
    entities = _entities(Column.of(tags).flat.to_pylist(), there.ends)
    return _Projection(here, documents, [*chain.from_iterable(annotated)], entities, common, positions[common]).made()


def _words(sentences: Sequence[list[str]]) -> _Words:
    flat = ["".join(word.split()) or " " for sentence in sentences for word in sentence]  # no word without a character
    ends = np.cumsum([len(word) for word in flat], dtype=np.int64)
    last = np.cumsum(Column.of(sentences).lengths) - 1
    return _Words(sentences, Text("".join(flat), ends[last]), ends)


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

    def __init__(  # noqa: PLR0913, PLR0917 - both texts and what they have in common
        self,
        here: _Words,
        documents: Sequence[int] | None,
        annotated: list[str],
        entities: _Entities,
        common: Numbers,
        positions: Numbers,
    ) -> None:
        """`common`, `positions`: the characters of the annotation that are in the data set, and where they are."""
        self.words, self.annotated = [*chain.from_iterable(here.sentences)], annotated
        self.chars, self.word_ends = here.text.chars, here.ends
        self.sentence_of_word = np.repeat(np.arange(len(here.sentences)), Column.of(here.sentences).lengths)
        self.documents = None if documents is None else np.asarray(documents, np.int64)
        self.entities, self.positions = entities, positions
        self.first, self.after = (np.searchsorted(common, at) for at in (entities.start, entities.end))
        self.start, self.end = self._boundaries()
        self.is_here = self._is_here()

    def _is_here(self) -> Flags:
        """(entities,) whether at least half of the characters are common, also of the span in the data set, and that is
        in one document."""
        n_common, where = self.after - self.first, np.append(self.positions, -1)
        sizes = self.entities.end - self.entities.start, where[self.after - 1] - where[self.first] + 1
        is_here: Flags = (n_common > 0) & (2 * n_common >= np.maximum(*sizes))
        if self.documents is not None:
            found, place = np.flatnonzero(is_here), self.documents[self.sentence_of_word]
            first, last = (self._word_at(at[found]) for at in (self.start, self.end - 1))
            is_here[found] = place[first] == place[last]
        return is_here

    def made(self) -> AlignedAnnotation:
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
        """(words of the data set,) whether at least half of the characters are common, or some of an aligned entity."""
        word = self._word_at(self.positions)
        lengths = np.diff(self.word_ends, prepend=0)
        found: Flags = 2 * np.bincount(word, minlength=len(lengths)) >= lengths
        steps = np.zeros(len(word) + 1, np.int64)
        steps[self.first[self.is_here]] += 1  # entities do not overlap, so that no position occurs twice
        steps[self.after[self.is_here]] -= 1
        found[word[np.cumsum(steps)[:-1] > 0]] = True
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
