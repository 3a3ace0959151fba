"""Words with their gold and predicted tags, part by part: the input of all scoring."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.scoring.entities import Codes, Flags, Indices, encode
from nerbench.tasks.statistics.resampling import Units


@dataclass(frozen=True, kw_only=True, eq=False)
class TaggedWords:
    """Consecutive words of a corpus in order; whole sentences."""

    types: tuple[str, ...]
    """Entity types, sorted; tags are encoded as by `entities.encode`."""
    units: Units
    gold: Codes
    """(words,)"""
    predicted: Codes
    """(words,)"""
    sentence: Indices
    """(words,) number of the sentence in the split, from 0."""
    document: Indices | None
    """(words,) number of the document in the split, from 0; None if there are no boundaries."""
    first_word: int = 0
    """Number of the first word in the split, from 0."""
    text: pa.ChunkedArray | None = None
    """(words,) the words; None if they were not kept."""
    score: npt.NDArray[np.float32] | None = None
    """(words,) probability of the predicted tag, NaN if it is unknown; None if all are unknown."""

    @property
    def sentence_starts(self) -> Flags:
        """(words,) true at the first word of each sentence."""
        return _changes(self.sentence)

    @property
    def unit_of(self) -> Indices:
        """(words,) number of each word's unit, from 0."""
        number = self.sentence if self.document is None or self.units.kind == "sentence" else self.document
        return number // self.units.size


def from_tags(
    gold: Iterable[str] | pa.Array | pa.ChunkedArray,
    predicted: Iterable[str] | pa.Array | pa.ChunkedArray,
    *,
    types: Iterable[str],
    sentences: npt.ArrayLike,
    documents: npt.ArrayLike | None = None,
) -> TaggedWords:
    """A whole corpus from one tag per word and the sentence and document numbers of the words.

    Args:
        gold, predicted: IOB2 tags of `types`, or columns of them.
        sentences, documents: (words,) each; a new number begins a new sentence or document. A new document also begins
            a new sentence.

    Raises:
        ValueError: A tag has another type, or arrays differ in length.
    """
    kinds = tuple(sorted(set(types)))
    codes = encode(gold, kinds), encode(predicted, kinds)
    changes = [_changes(np.asarray(numbers)) for numbers in (sentences, documents) if numbers is not None]
    if len({*map(len, codes), *map(len, changes)}) > 1:
        raise ValueError(f"{len(codes[0])} gold tags, {len(codes[1])} predicted ones, for {len(changes[0])} words")
    sentence = np.cumsum(np.logical_or.reduce(changes)) - 1
    document = None if documents is None else np.cumsum(changes[1]) - 1
    n_documents = None if document is None else int(changes[1].sum())
    units = Units.of(n_sentences=int(np.logical_or.reduce(changes).sum()), n_documents=n_documents)
    return TaggedWords(
        types=kinds, units=units, gold=codes[0], predicted=codes[1], sentence=sentence, document=document
    )


def from_corpus(
    corpus: Corpus,
    predicted: pa.ChunkedArray,
    *,
    types: Iterable[str],
    scores: pa.ChunkedArray | None = None,
) -> Iterator[TaggedWords]:
    """The parts of a corpus with its words, its tags and predicted tags.

    Args:
        corpus: The split with the annotation to score against.
        predicted: (words,) IOB2 tags of `types`.
        scores: (words,) float32 probabilities of the predicted tags; null if unknown.

    Raises:
        ValueError: A tag has another type, or the columns differ in length from the corpus.
    """
    kinds = tuple(sorted(set(types)))
    n_documents = None if corpus.documents is None else corpus.documents[-1] + 1
    units = Units.of(n_sentences=len(corpus.lengths), n_documents=n_documents)
    if {corpus.n_words, len(predicted), len(predicted if scores is None else scores)} != {corpus.n_words}:
        raise ValueError(f"{len(predicted)} predicted tags for {corpus.n_words} words")
    first_word = first_sentence = 0
    for part in corpus.parts():
        numbers = np.arange(first_sentence, first_sentence + len(part.lengths))
        yield TaggedWords(
            types=kinds,
            units=units,
            gold=encode(Column.of(part.tags).flat, kinds),
            predicted=encode(predicted.slice(first_word, part.n_words), kinds),
            sentence=np.repeat(numbers, part.lengths),
            document=None if part.documents is None else np.repeat(np.asarray(part.documents, np.int64), part.lengths),
            first_word=first_word,
            text=Column.of(part.words).flat,
            score=None if scores is None else known_scores(scores.slice(first_word, part.n_words)),
        )
        first_word, first_sentence = first_word + part.n_words, first_sentence + len(part.lengths)


def with_types(tagged: TaggedWords, types: tuple[str, ...]) -> TaggedWords:
    """The same words with their tags encoded for other types, which include all of its own."""
    codes = [0, *(1 + 2 * types.index(name) + is_inside for name in tagged.types for is_inside in (0, 1))]
    table: Codes = np.array(codes, np.int32)
    return replace(tagged, types=types, gold=table[tagged.gold], predicted=table[tagged.predicted])


def known_scores(column: pa.ChunkedArray) -> npt.NDArray[np.float32] | None:
    """(words,) numbers of a column, NaN for null; None if all are null."""
    if column.null_count == len(column):
        return None
    numbers: npt.NDArray[np.float32] = column.to_numpy().astype(np.float32, copy=False)
    return numbers


def lowest_scores(part: TaggedWords, start: Indices, end: Indices) -> npt.NDArray[np.float64]:
    """The lowest score of the words from each `start` up to `end`; NaN if no word has one. No span is empty.

    A word without tokens has no score; the score of its entity comes from the other words.
    """
    if part.score is None:
        return np.full(len(start), np.nan)
    padded = np.append(part.score, np.nan).astype(np.float64)
    lowest: npt.NDArray[np.float64] = np.fmin.reduceat(padded, np.column_stack([start, end]).ravel())[::2]
    return lowest


def _changes(numbers: npt.NDArray[np.generic]) -> Flags:
    changes = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=changes[1:])
    return changes
