"""How much of a difference between two models is a difference on annotations that are probably wrong."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nerbench.tasks.comparison.flips import Flip, aligned_parts
from nerbench.tasks.scoring.entities import Entities, Flags, extract, identical
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.tagged_words import TaggedWords


class SuspectGold(NamedTuple):
    """The flips by the side that the annotation supports, and the difference in F1 without suspect annotations."""

    n_suspects: int
    """Regions of the annotation that are more likely wrong than right."""
    supports_base: int
    """Entities that were lost, where the annotation is not suspect."""
    supports_candidate: int
    """Entities that were gained there."""
    supports_neither: int
    """Changed regions there."""
    suspect_lost: int
    """Entities that were lost where the annotation is suspect."""
    suspect_gained: int
    suspect_changed: int
    delta: float | None
    """Difference in overall strict F1, in 0…1; None if undefined."""
    delta_without_suspects: float | None
    """The same if gold and predicted entities with a word of a suspect region do not count."""


def split_by_support(
    flips: Iterable[Flip],
    suspects: Sequence[Row],
    base_parts: Iterable[TaggedWords],
    candidate_parts: Iterable[TaggedWords],
) -> SuspectGold:
    """Split flips by the regions of `suspects` (rows of the table), and compare both models without these regions.

    A flip is on suspect gold if its region shares a word with a suspect one.
    """
    regions: dict[int, list[tuple[int, int]]] = {}
    for row in suspects:
        regions.setdefault(row["sentence"], []).append((row["start"], row["end"]))
    counts = {(kind, suspect): 0 for kind in ("lost", "gained", "changed") for suspect in (False, True)}
    for flip in flips:
        counts[flip.kind, _overlaps(flip, regions.get(flip.sentence, ()))] += 1
    everything, without = np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64)
    for base, candidate in aligned_parts(base_parts, candidate_parts):
        masked = _masked(base, regions)
        nothing = np.zeros_like(masked)
        for number, part in enumerate((base, candidate)):
            everything[number] += _counts(part, nothing)
            without[number] += _counts(part, masked)
    return SuspectGold(
        n_suspects=len(suspects),
        supports_base=counts["lost", False],
        supports_candidate=counts["gained", False],
        supports_neither=counts["changed", False],
        suspect_lost=counts["lost", True],
        suspect_gained=counts["gained", True],
        suspect_changed=counts["changed", True],
        delta=_delta(everything),
        delta_without_suspects=_delta(without),
    )


def _overlaps(flip: Flip, regions: Iterable[tuple[int, int]]) -> bool:
    entities = (*flip.gold, *flip.base, *flip.candidate)
    start, end = min(one.start for one in entities), max(one.end for one in entities)
    return any(first < end and start < last for first, last in regions)


def _masked(part: TaggedWords, regions: Mapping[int, Sequence[tuple[int, int]]]) -> Flags:
    """(words,) whether a word is in a suspect region."""
    masked = np.zeros(len(part.gold), np.bool_)
    starts = np.flatnonzero(part.sentence_starts)
    for first, number in zip(starts.tolist(), part.sentence[starts].tolist(), strict=True):
        for start, end in regions.get(number, ()):
            masked[first + start : first + end] = True
    return masked


def _counts(part: TaggedWords, masked: Flags) -> Any:
    """True positives, predicted and gold entities without those that have a masked word."""
    before = np.append(0, np.cumsum(masked))

    def kept(entities: Entities) -> Entities:
        return entities.at(before[entities.end] == before[entities.start])

    starts = part.sentence_starts
    gold, predicted = (kept(extract(codes, starts, "strict")) for codes in (part.gold, part.predicted))
    n_true = np.count_nonzero(identical(gold, predicted, len(part.gold)) >= 0)
    return np.array([n_true, len(predicted.start), len(gold.start)])


def _delta(counts: Any) -> float | None:
    """The F1 of the second row less that of the first."""
    (base, candidate) = counts.tolist()
    if not (base[1] + base[2] and candidate[1] + candidate[2]):
        return None
    return float(2 * candidate[0] / (candidate[1] + candidate[2]) - 2 * base[0] / (base[1] + base[2]))
