"""Pairs of entities by brute force, and words with texts and scores as examples."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from tagging import Entity, Sentences, one_to_one, paired, textbook

from nerbench.tasks.scoring.tagged_words import TaggedWords

IDENTITY = {
    "artifact_id": "a",
    "words_sha256": "w",
    "gold_sha256": "g",
    "predictions_digest": "p",
    "model": "tiny",
    "dataset": "demo",
    "gold": "demo",
    "split": "test",
    "dtype": "fp32",
}


class Pair(NamedTuple):
    """A gold and a predicted entity, or one of them alone."""

    gold: Entity | None
    predicted: Entity | None

    @property
    def shared(self) -> list[int]:
        if self.gold is None or self.predicted is None:
            return []
        return sorted(set(range(*self.gold[1:3])) & set(range(*self.predicted[1:3])))


def all_pairs(gold: Sentences, predicted: Sentences) -> Iterator[Pair]:
    """Every strict entity once: the best of all pairings of a sentence, and the unpaired entities."""
    for number in range(len(gold)):
        ours, theirs = (
            [one._replace(sentence=number) for one in textbook([side[number]], "strict")] for side in (gold, predicted)
        )
        possible = [pair for g in ours for p in theirs if (pair := Pair(g, p)).shared]
        possible.sort(key=lambda pair: (pair.shared[0], pair.gold, pair.predicted))
        chosen = max(one_to_one(possible), key=lambda pairs: _worth(pairs, possible))
        yield from chosen
        yield from (Pair(one, None) for one in ours if one not in [pair.gold for pair in chosen])
        yield from (Pair(None, one) for one in theirs if one not in [pair.predicted for pair in chosen])


def _worth(chosen: list[Pair], possible: list[Pair]) -> tuple[int, int, int, list[bool]]:
    same_type = [pair for pair in chosen if pair.gold and pair.predicted and pair.gold.type == pair.predicted.type]
    n_words = sum(len(pair.shared) for pair in chosen)
    return len(chosen), len(same_type), n_words, [pair in chosen for pair in possible]


def described(gold: Sentences, predicted: Sentences, documents: list[int] | None = None) -> TaggedWords:
    """The tags with words `w0`, `w1`, … and scores that repeat."""
    tagged = paired(gold, predicted, documents)
    n = len(tagged.gold)
    scores = np.random.default_rng(n).integers(1, 9, n) / 8
    return replace(tagged, text=pa.chunked_array([[f"w{i}" for i in range(n)]]), score=scores.astype(np.float32))


def parts_of(tagged: TaggedWords, *firsts: int) -> list[TaggedWords]:
    """The same words with texts and scores, in parts that begin at the first and at these sentences."""
    bounds = [0, *np.searchsorted(tagged.sentence, firsts).tolist(), len(tagged.gold)]
    names = ("gold", "predicted", "sentence", "document", "text", "score")
    return [
        replace(
            tagged,
            first_word=start,
            **{name: None if (v := getattr(tagged, name)) is None else v[start:end] for name in names},
        )
        for start, end in pairwise(bounds)
    ]
