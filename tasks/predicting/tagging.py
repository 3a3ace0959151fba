"""Predicts tags and entities of sentences with the same inference and entity extraction as the benchmark."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nerbench.artifacts.arrow_arrays import dictionary_array
from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.data.label_matching import read_labels
from nerbench.tasks.data.tag_schemes import OUTSIDE, TagReading, entity_types
from nerbench.tasks.inference.evaluation_key import settings_of
from nerbench.tasks.inference.tagger_handles import tagger_handle
from nerbench.tasks.predicting.text_reading import Sentence
from nerbench.tasks.scoring.entities import Mode, encode, extract

if TYPE_CHECKING:
    from nerbench.artifacts.lazy_artifact import ArtifactHandle
    from nerbench.tasks.inference.loaded_model import LoadedModel
    from nerbench.tasks.inference.prediction import BlockPredictions


class Entity(NamedTuple):
    """An entity in a sentence."""

    label: str
    first: int
    """The 0-based position of its first word."""
    last: int
    """The position after its last word."""
    score: float | None
    """The lowest score of its words, as in the tables; None if no score is known."""


class TaggedSentence(NamedTuple):
    """A sentence with the predictions of a model."""

    sentence: Sentence
    tags: list[str]
    """One IOB2 tag per word."""
    scores: list[float | None]
    """The probability of each tag; None for a word without tokens."""
    entities: list[Entity]

    def to_json(self) -> dict[str, Any]:
        """Words and entities with their character offsets in the text."""
        text, placed, line = self.sentence
        words = zip(placed, self.tags, self.scores, strict=True)
        return {
            "line": line,
            "text": text,
            "tokens": [word._asdict() | {"tag": tag, "score": score} for word, tag, score in words],
            "entities": [
                {
                    "text": text[placed[one.first].start : placed[one.last - 1].end],
                    "label": one.label,
                    "start": placed[one.first].start,
                    "end": placed[one.last - 1].end,
                    "score": one.score,
                }
                for one in self.entities
            ],
        }


class Reader(NamedTuple):
    """The meaning of the outputs of one model."""

    names: Sequence[str]
    """The labels by output index, including `O`."""
    reading: TagReading
    types: list[str]
    """Entity types, sorted."""
    mode: Mode


def reader_of(artifact: ArtifactRef, labels: Sequence[str], benchmark: BenchmarkConfig, mode: Mode) -> Reader:
    """The reader for a model, whose labels are renamed and ignored as in the benchmark. Raises LabelError."""
    reading = read_labels(artifact, labels, benchmark)
    outputs = labels if OUTSIDE in labels else (*labels, OUTSIDE)
    return Reader(outputs, reading, entity_types(reading.tags.values()), mode)


def tag_sentences(
    tagger: "LoadedModel", reader: Reader, sentences: Iterable[Sentence], *, aggregation_strategy: str
) -> Iterator[TaggedSentence]:
    """The sentences in order with tags and entities. At most one block of sentences is in memory."""
    from nerbench.tasks.inference.prediction import predict

    pending: deque[Sentence] = deque()

    def words() -> Iterator[list[str]]:
        for sentence in sentences:
            pending.append(sentence)
            yield [word.text for word in sentence.words]

    for block in predict(tagger, words(), aggregation_strategy=aggregation_strategy):
        yield from _read(block, reader, _of_block(pending, len(block.labels)))


def tag(
    artifact: ArtifactRef, sentences: Iterable[Sentence], benchmark: BenchmarkConfig, mode: Mode = "strict"
) -> Iterator[TaggedSentence]:
    """The sentences in their order, tagged by a stored model with the settings of a benchmark.

    The model is loaded when the first sentence is read, and its memory is released after the last one. Raises
    RunFailedError, with the model's name, if it fails.
    """
    with tagger_handle(artifact, settings_of(benchmark)) as handle:
        yield from tag_with(handle, sentences, benchmark, mode)


def tag_with(
    handle: "ArtifactHandle[LoadedModel]",
    sentences: Iterable[Sentence],
    benchmark: BenchmarkConfig,
    mode: Mode = "strict",
) -> Iterator[TaggedSentence]:
    """Like `tag`, with a handle that keeps the model."""
    reader = reader_of(handle.ref, handle.value.labels, benchmark, mode)
    try:
        yield from tag_sentences(handle.value, reader, sentences, aggregation_strategy=benchmark.aggregation_strategy)
    except RunFailedError as error:
        raise RunFailedError(f"{handle.ref.name}: {error}") from error


def _of_block(pending: deque[Sentence], n_words: int) -> list[Sentence]:
    taken = []
    while n_words:
        taken.append(pending.popleft())
        n_words -= len(taken[-1].words)
    return taken


def _read(block: "BlockPredictions", reader: Reader, sentences: Sequence[Sentence]) -> Iterator[TaggedSentence]:
    ends = np.cumsum([len(sentence.words) for sentence in sentences])
    starts = np.zeros(ends[-1], np.bool_)
    starts[[0, *ends[:-1]]] = True
    outputs = np.where(block.labels < 0, reader.names.index(OUTSIDE), block.labels).astype(np.int32)
    tags = reader.reading.read(dictionary_array(outputs, reader.names), starts)
    found = extract(encode(tags, reader.types), starts, reader.mode)
    texts = tags.to_pylist()
    scores = [None if np.isnan(score) else round(float(score), 6) for score in block.scores]
    entities = deque(zip(found.start.tolist(), found.end.tolist(), found.type.tolist(), strict=True))
    first = 0
    for sentence, end in zip(sentences, ends.tolist(), strict=True):
        inside = []
        while entities and entities[0][0] < end:
            start, after, kind = entities.popleft()
            known = [score for score in scores[start:after] if score is not None]
            inside.append(Entity(reader.types[kind], start - first, after - first, min(known, default=None)))
        yield TaggedSentence(sentence, texts[first:end], scores[first:end], inside)
        first = end
