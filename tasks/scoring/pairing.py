"""Which predicted entity answers which gold entity, where boundaries may differ: an exact optimum, not a greedy pass.

Neither gold nor predicted entities overlap their own kind. So the overlaps, read left to right, form chains in which
each shares one of its two entities with the next, and one pass over a chain finds its best pairs.
"""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.scoring.entities import Entities, Flags, Indices

Preference = Literal["span", "type"]
_BASE = 1 << 31
"""More than the words, and so the pairs, that any corpus can have."""
_FREE, _GOLD, _PREDICTED = 0, 1, 2
"""What an overlap shares with the next: nothing, its gold entity or its predicted one."""


class Pairs(NamedTuple):
    """One-to-one pairs, in the order of the text; the arrays have one element a pair."""

    gold: Indices
    """Number of the gold entity."""
    predicted: Indices
    """Number of the predicted entity."""


def pair_entities(gold: Entities, predicted: Entities, *, prefer: Preference) -> Pairs:
    """Pair entities that share a word, each with at most one other.

    Of all such pairings, `span` takes one with the most pairs; among those, with the most of the same type; then with
    the most shared words. `type` takes one with the most pairs of the same type; then the most pairs; then the most
    shared words. Of several that are still equal, it is the one that has the leftmost overlap in which they differ.
    Entities of the same boundaries overlap nothing else, so that they are always paired.
    """
    overlaps, shared_words = _overlaps(gold, predicted)
    same_type = gold.type[overlaps.gold] == predicted.type[overlaps.predicted]
    many, few = (1, same_type) if prefer == "span" else (same_type, 1)
    # Python's numbers do not overflow where those of a chain are added up; numpy's do not for a single overlap.
    weights = (np.asarray(many, np.int64) * _BASE + few) * _BASE + shared_words
    shares = _shared_with_next(overlaps)
    chosen = np.ones(len(shares), np.bool_)
    in_chain = shares != _FREE
    in_chain[1:] |= shares[:-1] != _FREE
    chosen[in_chain] = _best_of_chains(weights[in_chain].tolist(), shares[in_chain].tolist())
    return Pairs(overlaps.gold[chosen], overlaps.predicted[chosen])


def _overlaps(gold: Entities, predicted: Entities) -> tuple[Pairs, Indices]:
    """All pairs of entities that share words, in the order of these words, and how many they share."""
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
    """Which overlaps make the greatest sum of weights, no entity twice; of equal choices the leftmost.

    Backwards, `best` holds what the overlaps from here to the end of their chain are worth: if both entities of the
    first are free, if its gold one is taken, if its predicted one is. Forwards, the choices are then read off.
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
