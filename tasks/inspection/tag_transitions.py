"""Counts adjacent tags in a split, and finds pairs that a tag scheme does not allow."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.data.tag_schemes import CONTINUING, Declared, Scheme, Tag, split_tag

SCHEMES: tuple[Scheme, ...] = ("iob2", "iob1", "bioes", "bilou")
"""The schemes that can be recognised from tags, the most common first."""
_LETTERS: Mapping[Scheme, str] = {"io": "OI", "iob1": "OBI", "iob2": "OBI", "bioes": "OBIES", "bilou": "OBILU"}
_OUTSIDE = Tag("O", "")


class Neighbours(NamedTuple):
    """Two adjacent tags."""

    before: str | None
    """None at the start of a sentence."""
    tag: str | None
    """None at the end of a sentence."""
    times: int
    first: int
    """The position of the first such `tag` in all words; for the end of a sentence, the position of its last word."""


def neighbours(labels: Sequence[str], codes: npt.NDArray[np.intc], lengths: npt.NDArray[np.int32]) -> list[Neighbours]:
    """All pairs of adjacent tags, including starts and ends of sentences, the most frequent first.

    Args:
        labels: the distinct original tags.
        codes: (words,) positions in `labels`.
        lengths: (sentences,) number of words in each, at least one.
    """
    ends = np.cumsum(lengths)
    before = np.concatenate([[-1], codes[:-1]])
    before[ends - lengths] = -1
    pairs = np.concatenate([np.stack([before, codes]), np.stack([codes[ends - 1], np.full(len(ends), -1)])], axis=1)
    positions = np.concatenate([np.arange(len(codes)), ends - 1])
    keys = (pairs[0] + 1) * (len(labels) + 1) + pairs[1] + 1
    found, first, counts = np.unique(keys, return_index=True, return_counts=True)
    names = [None, *labels]
    listed = [
        Neighbours(names[key // (len(labels) + 1)], names[key % (len(labels) + 1)], count, int(positions[at]))
        for key, at, count in zip(found.tolist(), first.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(listed, key=lambda pair: -pair.times)


def violations(pairs: Sequence[Neighbours], scheme: Scheme, declared: Declared) -> list[Neighbours]:
    """The pairs that a scheme does not allow. `declared` is the scheme for splitting tags."""
    return [pair for pair in pairs if not is_allowed(_split(pair.before, declared), _split(pair.tag, declared), scheme)]


def is_allowed(before: Tag, tag: Tag, scheme: Scheme) -> bool:
    """Whether a scheme allows `tag` after `before`. The start and the end of a sentence are `O`."""
    if before.letter not in _LETTERS[scheme] or tag.letter not in _LETTERS[scheme]:
        return False
    if scheme == "io":
        return True
    if scheme == "iob1":  # B- is allowed only between two entities of one type
        return tag.letter != "B" or before.type == tag.type
    continues = tag.continues(before)
    if scheme == "iob2":
        return tag.letter != "I" or continues
    left_open = before.letter in "BI"
    return continues if left_open or tag.letter in CONTINUING else True


def _split(text: str | None, declared: Declared) -> Tag:
    return _OUTSIDE if text is None else split_tag(text, declared) or _OUTSIDE
