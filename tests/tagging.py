"""Random tags, and entities by the textbook definition, as an oracle for scoring."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, TypeVar, get_args

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from nerbench.tasks.config.schema_base import Mode
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.inference.prediction_files import PredictionsDigest
from nerbench.tasks.scoring.counts import Counts, count
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_tags

TYPES = ("LOC", "ORG", "PER")
EVERY_MODE = get_args(Mode)
Sentences = list[list[str]]
Found = dict[tuple[int, str], int]
"""Number by (unit, label), without zeros."""


class Entity(NamedTuple):
    sentence: int
    start: int
    end: int
    type: str


def random_sentences(seed: int, n: int, *, longest: int = 12) -> tuple[Sentences, Sentences]:
    """Gold and predictions with any transition; predictions keep about two thirds of the gold tags."""
    rng = random.Random(seed)
    vocabulary = tag_vocabulary(rng.sample(TYPES, rng.randint(1, 3)))
    weights = [rng.choice([1, 6]), *[1] * (len(vocabulary) - 1)]
    gold = [rng.choices(vocabulary, weights, k=rng.randint(1, longest)) for _ in range(n)]
    noise = tag_vocabulary(TYPES)
    return gold, [[tag if rng.random() < 0.66 else rng.choice(noise) for tag in sentence] for sentence in gold]


def textbook(sentences: Sentences, mode: str) -> Iterator[Entity]:
    """Every maximal span of words that is one entity, by the definitions."""
    for number, tags in enumerate(sentences):
        for start, tag in enumerate(tags):
            kind = tag[2:]
            continues = start > 0 and tags[start - 1] in (f"B-{kind}", f"I-{kind}")
            if tag[0] == "B" or (tag[0] == "I" and not continues and mode == "conlleval"):
                end = start + 1
                while end < len(tags) and tags[end] == f"I-{kind}":
                    end += 1
                yield Entity(number, start, end, kind)


def paired(gold: Sentences, predicted: Sentences, documents: Sequence[int] | None = None) -> TaggedWords:
    numbers = [n for n, sentence in enumerate(gold) for _ in sentence]
    return from_tags(
        [tag for sentence in gold for tag in sentence],
        [tag for sentence in predicted for tag in sentence],
        types=TYPES,
        sentences=numbers,
        documents=None if documents is None else [documents[n] for n in numbers],
    )


def counted(gold: Sentences, predicted: Sentences, documents: list[int] | None = None) -> dict[str, Counts]:
    return {one.mode: one for one in count([paired(gold, predicted, documents)], modes=EVERY_MODE)}


def as_dict(counts: Counts, column: str) -> Found:
    numbers = counts.column(column)
    return {(int(unit), counts.labels[label]): int(numbers[unit, label]) for unit, label in np.argwhere(numbers)}


def totals(counts: Counts, column: str) -> dict[str, int]:
    return {label: n for label, n in zip(counts.labels, counts.column(column).sum(0).tolist(), strict=True) if n}


class Answer(Protocol):
    """A predicted entity that shares words with a gold one."""

    @property
    def gold(self) -> object: ...
    @property
    def predicted(self) -> object: ...


A = TypeVar("A", bound=Answer)


def one_to_one(possible: Sequence[A]) -> Iterator[list[A]]:
    """All choices of pairs in which no entity occurs twice."""
    if not possible:
        yield []
        return
    first, *others = possible
    yield from one_to_one(others)
    free = [one for one in others if one.gold != first.gold and one.predicted != first.predicted]
    yield from ([first, *chosen] for chosen in one_to_one(free))


def cut(tagged: TaggedWords, firsts: Sequence[int]) -> list[TaggedWords]:
    """The same words in parts that begin at the first and at these sentences."""
    bounds = [0, *np.searchsorted(tagged.sentence, sorted(firsts)).tolist(), len(tagged.gold)]
    return [
        replace(
            tagged,
            gold=tagged.gold[start:end],
            predicted=tagged.predicted[start:end],
            sentence=tagged.sentence[start:end],
            document=None if tagged.document is None else tagged.document[start:end],
            first_word=start,
        )
        for start, end in pairwise(bounds)
    ]


def predictions_table(gold: Sentences, predicted: Sentences, documents: Sequence[int] | None = None) -> pa.Table:
    """Rows of the `predictions` table, with words `w0`, `w1`, … and scores."""
    sentence = np.repeat(np.arange(len(gold), dtype=np.int32), [len(tags) for tags in gold])
    word = np.arange(len(sentence), dtype=np.int32)
    document = np.full(len(word), -1, np.int32) if documents is None else np.array(documents, np.int32)[sentence]
    tags = [tag for sentence in predicted for tag in sentence]
    digest = PredictionsDigest()
    digest.update(document, sentence, word, tags)
    constants = ("model", "artifact_id", "dataset", "gold", "split", "words_sha256", "gold_sha256", "dtype")
    columns: dict[str, Any] = {name: [f"the {name}"] * len(word) for name in constants}
    columns |= {
        "predictions_digest": [digest.hexdigest()] * len(word),
        "document": pa.array(document, mask=document < 0),
        "sentence": sentence,
        "word": word,
        "text": [f"w{number}" for number in word],
        "gold_tag": pa.array([tag for sentence in gold for tag in sentence], pa.string()),
        "pred_tag": pa.array(tags, pa.string()),
        "score": np.linspace(0.5, 1, len(word), dtype=np.float32),
    }
    return pa.table(columns)


@st.composite
def annotated(draw: st.DrawFn) -> tuple[Sentences, Sentences, list[int]]:
    """Gold, predictions and documents of up to six sentences."""
    tag = st.sampled_from(tag_vocabulary(TYPES[:2]))
    gold = draw(st.lists(st.lists(tag, min_size=1, max_size=6), min_size=1, max_size=6))
    predicted = [draw(st.lists(tag, min_size=len(s), max_size=len(s))) for s in gold]
    breaks = draw(st.lists(st.booleans(), min_size=len(gold), max_size=len(gold)))
    return gold, predicted, [sum(breaks[1 : n + 1]) for n in range(len(gold))]
