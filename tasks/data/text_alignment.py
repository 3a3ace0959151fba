"""The characters that two texts have in common, in the order of both.

Passages that occur once in each text are anchors: first sentences, then runs of characters, long ones first (RUNS). The
longest series of anchors that is in order in both texts is kept, as in patience diff. Therefore, repeated passages are
not confused, and the time is nearly linear. Between two anchors, shorter runs are compared, and in the end single
characters, by difflib.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

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
