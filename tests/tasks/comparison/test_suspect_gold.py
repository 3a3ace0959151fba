"""Flips, split by the side that the annotation supports."""

import pytest
from tagging import Sentences, paired, random_sentences

from nerbench.tasks.comparison.flips import flips
from nerbench.tasks.comparison.suspect_gold import SuspectGold, split_by_support

GOLD = [["B-PER", "O"], ["B-LOC", "O"], ["B-ORG", "O"], ["B-PER", "O"], ["O", "O"]]
BASE = [["B-PER", "O"], ["B-LOC", "O"], ["O", "O"], ["O", "O"], ["B-LOC", "O"]]
CANDIDATE = [["O", "O"], ["B-ORG", "O"], ["B-ORG", "O"], ["B-PER", "O"], ["B-ORG", "O"]]


def support(suspects: list[tuple[int, int, int]], base: Sentences = BASE, after: Sentences = CANDIDATE) -> SuspectGold:
    parts = [paired(GOLD, side) for side in (base, after)]
    rows = [{"sentence": sentence, "start": start, "end": end} for sentence, start, end in suspects]
    return split_by_support(list(flips(*([part] for part in parts))), rows, *([part] for part in parts))


def test_flips_are_split() -> None:
    found = support([(1, 0, 1), (2, 0, 2)])
    assert (found.supports_base, found.supports_candidate, found.supports_neither) == (1, 1, 1)
    assert (found.suspect_lost, found.suspect_gained, found.suspect_changed, found.n_suspects) == (1, 1, 0, 2)


def test_a_neighbouring_region_is_not_suspect() -> None:
    assert support([(1, 1, 2), (0, 1, 2)]).suspect_lost == 0


def test_f1_without_suspect_regions() -> None:
    """Expected values: base has 2 of 3 predicted and 4 gold entities right, the candidate 2 of 4."""
    found = support([(1, 0, 1), (4, 0, 1)])
    assert found.delta == pytest.approx(2 * 2 / (4 + 4) - 2 * 2 / (3 + 4))
    assert found.delta_without_suspects == pytest.approx(2 * 2 / (2 + 3) - 2 * 1 / (1 + 3))


def test_without_suspects_nothing_changes() -> None:
    found = support([])
    assert found.delta == found.delta_without_suspects


def test_every_flip_counts_once() -> None:
    gold, base = random_sentences(3, 40)
    _, candidate = random_sentences(4, 40)
    candidate = [tags[: len(own)] + ["O"] * (len(own) - len(tags)) for tags, own in zip(candidate, gold, strict=True)]
    parts = [paired(gold, side) for side in (base, candidate)]
    found = list(flips(*([part] for part in parts)))
    rows = [{"sentence": number, "start": 0, "end": 3} for number in range(0, 40, 2)]
    split = split_by_support(found, rows, *([part] for part in parts))
    assert sum(split[1:7]) == len(found)
    assert split.supports_base + split.suspect_lost == sum(flip.kind == "lost" for flip in found)


def test_a_score_that_is_undefined() -> None:
    nothing = [["O", "O"]]
    part = paired(nothing, nothing)
    found = split_by_support([], [], [part], [part])
    assert (found.delta, found.delta_without_suspects) == (None, None)
