"""What one part of a corpus adds to the counts: see `nerbench.tasks.scoring.counts` for what the modes mean."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.scoring.entities import Codes, Entities, Flags, Indices, extract, identical
from nerbench.tasks.scoring.pairing import Preference, pair_entities
from nerbench.tasks.scoring.tagged import TaggedWords
from nerbench.tasks.slicing.slices import EVERYTHING, Slice

_INEXACT: tuple[tuple[Preference, tuple[str, ...]], ...] = (("span", ("exact", "partial", "span")), ("type", ("type",)))
"""Modes, by how they pair entities."""


class Marks(NamedTuple):
    """What one part adds to one column."""

    mode: str
    slice: str
    column: str
    at: Indices
    """The words where it lies."""
    label: npt.NDArray[np.integer]
    """The number of each one's label."""


def marks_of(part: TaggedWords, slices: Sequence[Slice]) -> Iterator[Marks]:
    """All that is to be counted, in every mode, and within each slice in the exact-match modes.

    `discard` is left out: its entities, and so its counts, are those of `strict`.
    """
    gold, predicted = (_read(codes, part.sentence_starts) for codes in (part.gold, part.predicted))
    yield from _exact_match(part, gold, predicted, slices)
    yield from _inexact_match(gold.entities.at(gold.is_strict), predicted.entities.at(predicted.is_strict))
    yield from _tokens(part)


class _Reading(NamedTuple):
    entities: Entities
    """As `conlleval` reads them."""
    is_strict: Flags
    """(entities,) whether `strict` has them too."""


def _read(codes: Codes, sentence_starts: Flags) -> _Reading:
    entities = extract(codes, sentence_starts, "conlleval")
    return _Reading(entities, codes[entities.start] & 1 == 1)


def _exact_match(
    part: TaggedWords, gold_reading: _Reading, predicted_reading: _Reading, slices: Sequence[Slice]
) -> Iterator[Marks]:
    (gold, strict_gold), (predicted, strict_predicted) = gold_reading, predicted_reading
    number = identical(gold, predicted, len(part.gold))
    right = number >= 0
    right_strict = right & strict_gold
    right_strict[right] &= strict_predicted[number[right]]
    everywhere = np.ones(len(gold.start), np.bool_), np.ones(len(predicted.start), np.bool_)
    inside = {EVERYTHING: everywhere} | {one.name: (one.of(part, gold), one.of(part, predicted)) for one in slices}
    for name, (in_gold, in_predicted) in inside.items():
        invalid = predicted.at(in_predicted & ~strict_predicted)
        for mode, tp, n_pred, n_gold in (
            ("conlleval", right & in_gold, in_predicted, in_gold),
            ("strict", right_strict & in_gold, strict_predicted & in_predicted, strict_gold & in_gold),
        ):
            columns = {"tp": gold.at(tp), "n_pred": predicted.at(n_pred), "n_gold": gold.at(n_gold)}
            for column, entities in (columns | {"n_invalid": invalid}).items():
                yield Marks(mode, name, column, entities.start, entities.type)


def _inexact_match(gold: Entities, predicted: Entities) -> Iterator[Marks]:
    """Of entities as `strict` reads them."""
    for prefer, modes in _INEXACT:
        pairs = pair_entities(gold, predicted, prefer=prefer)
        ours, theirs = gold.at(pairs.gold), predicted.at(pairs.predicted)
        same_words = (ours.start == theirs.start) & (ours.end == theirs.end)
        type_of_answer = predicted.type.copy()
        type_of_answer[pairs.predicted] = ours.type
        columns = {
            "tp": ours.at(same_words if prefer == "span" else ours.type == theirs.type),
            "n_pred": predicted._replace(type=type_of_answer),
            "n_gold": gold,
        }
        for mode in modes:
            more = {"n_partial": ours.at(~same_words)} if mode == "partial" else {}
            for column, entities in (columns | more).items():
                label = np.zeros_like(entities.type) if mode == "span" else entities.type
                yield Marks(mode, EVERYTHING, column, entities.start, label)


def _tokens(part: TaggedWords) -> Iterator[Marks]:
    every = np.arange(len(part.gold))
    right = np.flatnonzero(part.gold == part.predicted)
    yield Marks("tag", EVERYTHING, "tp", right, part.gold[right])
    yield Marks("tag", EVERYTHING, "n_pred", every, part.predicted)
    yield Marks("tag", EVERYTHING, "n_gold", every, part.gold)
