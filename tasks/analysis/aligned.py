"""The gold and predicted entities of a part of a corpus, side by side: what every analysis starts from."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.scoring.entities import Entities, Flags, Indices, extract
from nerbench.tasks.scoring.pairing import Pairs, pair_entities
from nerbench.tasks.scoring.tagged import TaggedWords

Numbers = npt.NDArray[np.float64]


class Aligned(NamedTuple):
    """Entities read as `strict`, and which of them are about the same words."""

    gold: Entities
    predicted: Entities
    pairs: Pairs
    """One-to-one, of entities that overlap; the same boundaries always pair."""

    @property
    def same_boundaries(self) -> Flags:
        """(pairs,)"""
        gold, predicted = self.pairs
        same: Flags = (self.gold.start[gold] == self.predicted.start[predicted]) & (
            self.gold.end[gold] == self.predicted.end[predicted]
        )
        return same

    @property
    def same_type(self) -> Flags:
        """(pairs,)"""
        gold, predicted = self.pairs
        same: Flags = self.gold.type[gold] == self.predicted.type[predicted]
        return same


def align(part: TaggedWords) -> Aligned:
    """Pair the entities of a part: as many pairs as can be, then as many of the same type (see `pair_entities`)."""
    starts = part.sentence_starts
    gold, predicted = (extract(codes, starts, "strict") for codes in (part.gold, part.predicted))
    return Aligned(gold, predicted, pair_entities(gold, predicted, prefer="span"))


def lowest_scores(part: TaggedWords, start: Indices, end: Indices) -> Numbers:
    """The least score of the words from each `start` to before its `end`, none empty; NaN where no word has one.

    A word that the tokenizer makes no pieces of has no score; the others speak for its entity.
    """
    if part.score is None:
        return np.full(len(start), np.nan)
    padded = np.append(part.score, np.nan).astype(np.float64)
    lowest: Numbers = np.fmin.reduceat(padded, np.column_stack([start, end]).ravel())[::2]
    return lowest
