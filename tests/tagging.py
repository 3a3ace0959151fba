"""Random tags, and entities by the textbook: what the scoring is compared with."""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from tasks.corpora.labels import tag_vocabulary
from tasks.scoring.counts import TagPair, pair

TYPES = ("LOC", "ORG", "PER")
Sentences = list[list[str]]


class Entity(NamedTuple):
    sentence: int
    start: int
    end: int
    type: str


def random_sentences(seed: int, n: int, *, longest: int = 12) -> tuple[Sentences, Sentences]:
    """Gold and predictions, any transition in both; predictions keep about two thirds of the gold's tags."""
    rng = random.Random(seed)
    vocabulary = tag_vocabulary(rng.sample(TYPES, rng.randint(1, 3)))
    weights = [rng.choice([1, 6]), *[1] * (len(vocabulary) - 1)]
    gold = [rng.choices(vocabulary, weights, k=rng.randint(1, longest)) for _ in range(n)]
    noise = tag_vocabulary(TYPES)
    return gold, [[tag if rng.random() < 0.66 else rng.choice(noise) for tag in sentence] for sentence in gold]


def textbook(sentences: Sentences, mode: str) -> Iterator[Entity]:
    """Every span of words that reads as one entity and cannot be made longer, straight from the definitions."""
    for number, tags in enumerate(sentences):
        for start, tag in enumerate(tags):
            kind = tag[2:]
            continues = start > 0 and tags[start - 1] in (f"B-{kind}", f"I-{kind}")
            if tag[0] == "B" or (tag[0] == "I" and not continues and mode == "conlleval"):
                end = start + 1
                while end < len(tags) and tags[end] == f"I-{kind}":
                    end += 1
                yield Entity(number, start, end, kind)


def paired(gold: Sentences, predicted: Sentences, documents: Sequence[int] | None = None) -> TagPair:
    numbers = [n for n, sentence in enumerate(gold) for _ in sentence]
    return pair(
        [tag for sentence in gold for tag in sentence],
        [tag for sentence in predicted for tag in sentence],
        types=TYPES,
        sentences=numbers,
        documents=None if documents is None else [documents[n] for n in numbers],
    )


@st.composite
def annotated(draw: st.DrawFn) -> tuple[Sentences, Sentences, list[int]]:
    """Gold, predictions and documents of up to six sentences."""
    tag = st.sampled_from(tag_vocabulary(TYPES[:2]))
    gold = draw(st.lists(st.lists(tag, min_size=1, max_size=6), min_size=1, max_size=6))
    predicted = [draw(st.lists(tag, min_size=len(s), max_size=len(s))) for s in gold]
    breaks = draw(st.lists(st.booleans(), min_size=len(gold), max_size=len(gold)))
    return gold, predicted, [sum(breaks[1 : n + 1]) for n in range(len(gold))]
