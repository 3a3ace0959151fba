"""What a metric of a user's own is given: one model's predictions beside one annotation, as a table and as entities."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nerbench.tasks.corpora.labels import tag_vocabulary
from nerbench.tasks.scoring.entities import Codes, extract
from nerbench.tasks.scoring.tagged import TaggedWords

SCHEMA = pa.schema(
    {
        "document": pa.int32(),
        "sentence": pa.int32(),
        "word": pa.int32(),
        "text": pa.string(),
        "gold_tag": pa.dictionary(pa.int32(), pa.string()),
        "pred_tag": pa.dictionary(pa.int32(), pa.string()),
        "score": pa.float32(),
    }
)


class Entity(NamedTuple):
    """An entity of the annotation or of the predictions."""

    document: int | None
    """Number of its document in the split, from 0; None without boundaries."""
    sentence: int
    """Number of its sentence in the split, from 0."""
    start: int
    """Number of its first word in the split, from 0."""
    end: int
    """Number of the word after its last one."""
    type: str
    text: str | None
    """Its words, with spaces between them; None where text was not kept."""
    score: float | None
    """The least of its words' scores, as it is no surer than that word; None if unknown, and in the annotation."""


class Identity(NamedTuple):
    """What predictions are of."""

    model: str
    """The name the model is known by."""
    artifact_id: str
    """sha256 of the model's manifest."""
    dataset: str
    gold: str
    """The annotation: the dataset's name, or one of `golds`."""
    split: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """One model's predictions on one split, beside one annotation. Everything is read when it is first asked for."""

    identity: Identity
    types: tuple[str, ...]
    """Entity types of annotation and predictions, sorted."""
    parts: Callable[[], Iterable[TaggedWords]]
    """The same words part by part, for a metric that must not hold a large corpus at once."""

    @cached_property
    def table(self) -> pa.Table:
        """One row a word (SCHEMA): document (null without boundaries), sentence and word count from 0 over the split;
        text is null where it was not kept, score (probability of the predicted tag) where it is unknown."""
        return pa.concat_tables([_table(part) for part in self.parts()] or [SCHEMA.empty_table()]).unify_dictionaries()

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame, tags as categories."""
        return self.table.to_pandas()

    @cached_property
    def gold(self) -> tuple[Entity, ...]:
        """The annotation's entities in order, read as in the mode `strict`."""
        return tuple(entity for part in self.parts() for entity in _entities(part, part.gold, scored=False))

    @cached_property
    def predicted(self) -> tuple[Entity, ...]:
        """The predicted entities in order, read as in the mode `strict`."""
        return tuple(entity for part in self.parts() for entity in _entities(part, part.predicted, scored=True))


def _table(part: TaggedWords) -> pa.Table:
    vocabulary = pa.array(tag_vocabulary(part.types))
    n_words = len(part.gold)
    columns: dict[str, Any] = {
        "document": pa.nulls(n_words) if part.document is None else part.document,
        "sentence": part.sentence,
        "word": np.arange(part.first_word, part.first_word + n_words),
        "text": pa.nulls(n_words) if part.text is None else part.text,
        "gold_tag": pa.DictionaryArray.from_arrays(part.gold, vocabulary),
        "pred_tag": pa.DictionaryArray.from_arrays(part.predicted, vocabulary),
        "score": pa.nulls(n_words) if part.score is None else pa.array(part.score, from_pandas=True),
    }
    return pa.table(columns).cast(SCHEMA)


def _entities(part: TaggedWords, codes: Codes, *, scored: bool) -> Iterator[Entity]:
    found = extract(codes, part.sentence_starts, "strict")
    texts = None if part.text is None else part.text.to_pylist()
    for start, end, kind in zip(found.start.tolist(), found.end.tolist(), found.type.tolist(), strict=True):
        yield Entity(
            document=None if part.document is None else int(part.document[start]),
            sentence=int(part.sentence[start]),
            start=part.first_word + start,
            end=part.first_word + end,
            type=part.types[kind],
            text=None if texts is None else " ".join(texts[start:end]),
            score=_least(part, start, end) if scored else None,
        )


def _least(part: TaggedWords, start: int, end: int) -> float | None:
    """A word that the tokenizer makes no pieces of has no score; the others speak for its entity."""
    least = np.nan if part.score is None else np.fmin.reduce(part.score[start:end])
    return None if np.isnan(least) else float(least)
