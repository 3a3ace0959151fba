"""Tags as numbers, and the entities in them, without a Python loop over words.

A word's code is its tag's position in `tag_vocabulary(types)`: 0 is `O`, 1 + 2t is `B-` and 2 + 2t is `I-` of type t.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.corpora.labels import tag_vocabulary

Mode = Literal["strict", "conlleval"]
MODES: tuple[Mode, ...] = ("strict", "conlleval")
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Entities(NamedTuple):
    """Entities in order; the arrays have one element an entity."""

    start: Indices
    """Position of the first word over all sentences."""
    end: Indices
    """Position after the last word."""
    type: Indices
    """Index of the entity type."""
    n_invalid: int
    """Words tagged `I-` that continue no entity of their type, in either mode."""


def encode(tags: Iterable[str] | pa.Array | pa.ChunkedArray, types: Sequence[str]) -> Codes:
    """Codes, one a word, of IOB2 tags or of a column of them (strings or a dictionary of strings).

    Raises:
        ValueError: a tag belongs to none of `types`, or is null.
    """
    codes = {tag: code for code, tag in enumerate(tag_vocabulary(types))}
    try:
        if isinstance(tags, pa.Array | pa.ChunkedArray):
            return _encode_column(tags, codes)
        return np.fromiter((codes[tag] for tag in tags), np.int32)
    except KeyError as error:
        raise ValueError(f"the tag {error.args[0]!r} is not among {', '.join(codes)}") from None


def extract(codes: Codes, sentence_starts: Flags, mode: Mode) -> Entities:
    """The entities of a sequence of words.

    `conlleval` (Tjong Kim Sang's script; seqeval's default): an entity begins at `B-`, and at an `I-` after `O`, after
    another type or at a sentence's start; the `I-` of its type that follow belong to it. `strict` (seqeval's
    `mode="strict", scheme=IOB2`): those of them that begin with `B-`.

    Args:
        codes: (words,) as of `encode`.
        sentence_starts: (words,) true at the first word of each sentence.
    """
    types = (codes - 1) >> 1  # -1 for O
    continues = np.zeros(len(codes), np.bool_)
    np.equal(types[1:], types[:-1], out=continues[1:])
    continues &= ~sentence_starts
    is_inside = (codes > 0) & (codes & 1 == 0)
    invalid = is_inside & ~continues
    begins = (codes & 1 == 1) | invalid
    breaks = np.flatnonzero(begins | (codes == 0))
    positions = np.flatnonzero(begins[breaks])
    start, end = breaks[positions], np.append(breaks, len(codes))[positions + 1]
    if mode == "strict":
        kept = codes[start] & 1 == 1
        start, end = start[kept], end[kept]
    return Entities(start=start, end=end, type=types[start].astype(np.int64), n_invalid=int(np.count_nonzero(invalid)))


def matches(gold: Entities, predicted: Entities, n_words: int) -> Flags:
    """For each gold entity, whether an entity of the same words and type was predicted."""
    at = np.full(n_words, -1, np.int64)
    at[predicted.start] = np.arange(len(predicted.start))
    candidate = at[gold.start]
    found = candidate >= 0
    same: Flags = found.copy()
    same[found] = (predicted.end[candidate[found]] == gold.end[found]) & (
        predicted.type[candidate[found]] == gold.type[found]
    )
    return same


def _encode_column(column: pa.Array | pa.ChunkedArray, codes: dict[str, int]) -> Codes:
    if column.null_count:
        raise ValueError(f"{column.null_count} tags are null")
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    table = np.array([codes[tag] for tag in column.dictionary.to_pylist()], np.int32)
    encoded: Codes = table[column.indices.to_numpy(zero_copy_only=False)]
    return encoded
