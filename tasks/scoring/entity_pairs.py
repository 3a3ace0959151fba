"""The optimal pairing of predicted with gold entities that overlap them.

Gold entities do not overlap each other, nor do predicted ones. Therefore, the overlaps, from left to right, form chains
in which each shares one of its two entities with the next, and one pass over a chain finds its best pairs.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.scoring.entities import Entities, Flags, Indices

Preference = Literal["span", "type"]
_BASE = 1 << 31
"""More than the number of words, and thus of pairs, in any corpus."""
_FREE, _GOLD, _PREDICTED = 0, 1, 2
"""The entity that an overlap shares with the next one: none, its gold entity or its predicted entity."""


class Pairs(NamedTuple):
    """One-to-one pairs in text order; the arrays have one element per pair."""

    gold: Indices
    """Number of the gold entity."""
    predicted: Indices
    """Number of the predicted entity."""


def pair_entities(gold: Entities, predicted: Entities, *, prefer: Preference) -> Pairs:
    """Pair entities that share a word, each with at most one other.

    `span` maximises the number of pairs, then the pairs of the same type, then the shared words. `type` maximises the
    pairs of the same type, then the number of pairs, then the shared words. Among equal pairings, the one with the
    leftmost overlap at the first difference wins.

    Entities with the same boundaries overlap nothing else, so they are always paired.
    """
    overlaps, shared_words = _overlaps(gold, predicted)
    same_type = gold.type[overlaps.gold] == predicted.type[overlaps.predicted]
    many, few = (1, same_type) if prefer == "span" else (same_type, 1)
    # Python's integers do not overflow in sums over a chain; numpy's do not overflow for a single overlap.
    weights = (np.asarray(many, np.int64) * _BASE + few) * _BASE + shared_words
    shares = _shared_with_next(overlaps)
    chosen = np.ones(len(shares), np.bool_)
    in_chain = shares != _FREE
    in_chain[1:] |= shares[:-1] != _FREE
    chosen[in_chain] = _best_of_chains(weights[in_chain].tolist(), shares[in_chain].tolist())
    return Pairs(overlaps.gold[chosen], overlaps.predicted[chosen])


def _overlaps(gold: Entities, predicted: Entities) -> tuple[Pairs, Indices]:
    """All pairs of entities that share words, in the order of these words, and the number of shared words."""
    first = np.searchsorted(predicted.end, gold.start, side="right")
    n = np.searchsorted(predicted.start, gold.end, side="left") - first
    in_gold = np.repeat(np.arange(len(n)), n)
    in_predicted = np.arange(n.sum()) + np.repeat(first - (np.cumsum(n) - n), n)
    start = np.maximum(gold.start[in_gold], predicted.start[in_predicted])
    end = np.minimum(gold.end[in_gold], predicted.end[in_predicted])
    return Pairs(in_gold, in_predicted), end - start


def _shared_with_next(overlaps: Pairs) -> npt.NDArray[np.int8]:
    shares = np.full(len(overlaps.gold), _FREE, np.int8)
    shares[:-1][overlaps.gold[1:] == overlaps.gold[:-1]] = _GOLD
    shares[:-1][overlaps.predicted[1:] == overlaps.predicted[:-1]] = _PREDICTED
    return shares


def _best_of_chains(weights: list[int], shares: list[int]) -> Flags:
    """The overlaps with the greatest sum of weights, no entity twice; among equal choices, the leftmost.

    Backwards, `best` has the values of the overlaps from here to the end of their chain: if both entities of the first
    one are free, if its gold entity is taken, and if its predicted entity is taken. Forwards, the choices are then read
    off.
    """
    worth_it = np.zeros(len(weights), np.bool_)
    best = [0, 0, 0]
    for i in range(len(weights) - 1, -1, -1):
        shared = shares[i]
        after = [0, 0, 0] if shared == _FREE else best
        taken, left_out = weights[i] + after[shared], after[_FREE]
        worth_it[i] = taken >= left_out
        best = [max(taken, left_out), left_out, left_out]
        if shared != _FREE:
            best[shared] = after[shared]
    chosen = np.zeros(len(weights), np.bool_)
    blocked = _FREE
    for i, shared in enumerate(shares):
        if blocked == _FREE and worth_it[i]:
            chosen[i], blocked = True, shared
        elif blocked != shared:
            blocked = _FREE
    return chosen
