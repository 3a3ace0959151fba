"""Tagged words as a table with the columns of `predictions`: what conditions of a user's own are computed from."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.tasks.corpora.labels import tag_vocabulary
from nerbench.tasks.scoring.entities import Codes, Indices
from nerbench.tasks.scoring.tagged import TaggedWords

Scalar = TypeVar("Scalar", bound=np.generic)


class _Column(NamedTuple):
    type: pa.DataType
    of: Callable[[TaggedWords], Any]
    """An array of numpy or Arrow; None where it is not known."""


def word_table(tagged: TaggedWords, columns: Iterable[str] | None = None) -> pa.Table:
    """One row a word, all columns by default; what is not known (text, document, score) is null.

    Beside those of `predictions` there are `sentence_length`, in words, and `position`, the 0-based one of the word in
    its sentence.
    """
    n_words = len(tagged.gold)
    table = {}
    for name in _COLUMNS if columns is None else columns:
        kind, values = _COLUMNS[name].type, _COLUMNS[name].of(tagged)
        if values is None:
            table[name] = pa.nulls(n_words, kind)
        else:
            array = values if hasattr(values, "cast") else pa.array(values, from_pandas=True)  # NaN is null
            table[name] = array.cast(kind)
    return pa.table(table)


def sentence_lengths(tagged: TaggedWords) -> Indices:
    """(sentences,) words in each."""
    return np.diff(np.flatnonzero(tagged.sentence_starts), append=len(tagged.sentence))


def per_word(values: npt.NDArray[Scalar], tagged: TaggedWords) -> npt.NDArray[Scalar]:
    """(words,) of `values`, (sentences,), that of each word's sentence."""
    return np.repeat(values, sentence_lengths(tagged))


def _positions(tagged: TaggedWords) -> Indices:
    starts: Indices = np.flatnonzero(tagged.sentence_starts)
    positions: Indices = np.arange(len(tagged.sentence)) - per_word(starts, tagged)
    return positions


def _tags(tagged: TaggedWords, codes: Codes) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, tag_vocabulary(tagged.types))


_COLUMNS = {
    "document": _Column(pa.int32(), lambda tagged: tagged.document),
    "sentence": _Column(pa.int32(), lambda tagged: tagged.sentence),
    "word": _Column(pa.int32(), lambda tagged: tagged.first_word + np.arange(len(tagged.gold))),
    "text": _Column(pa.string(), lambda tagged: tagged.text),
    "gold_tag": _Column(pa.string(), lambda tagged: _tags(tagged, tagged.gold)),
    "pred_tag": _Column(pa.string(), lambda tagged: _tags(tagged, tagged.predicted)),
    "score": _Column(pa.float32(), lambda tagged: tagged.score),
    "sentence_length": _Column(pa.int32(), lambda tagged: per_word(sentence_lengths(tagged), tagged)),
    "position": _Column(pa.int32(), _positions),
}
