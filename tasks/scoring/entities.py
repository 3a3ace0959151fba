"""Tags as numbers, and the entities in them.

There is no Python loop over words. A word's code is its tag's position in `tag_vocabulary(types)`: 0 is `O`, 1 + 2t is
`B-` and 2 + 2t is `I-` of type t.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.artifacts.arrow_arrays import dictionary_indices
from nerbench.tasks.data.tag_schemes import tag_vocabulary

Mode = Literal["strict", "conlleval", "discard"]
MODES: tuple[Mode, ...] = ("strict", "conlleval", "discard")
"""How invalid IOB2 tags are decoded: see `extract`."""
Codes = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


class Entities(NamedTuple):
    """Entities in order; the arrays have one element per entity."""

    start: Indices
    """Position of the first word over all sentences."""
    end: Indices
    """Position after the last word."""
    type: Indices
    """Number of the entity type."""
    n_invalid: int
    """Words tagged `I-` that continue no entity of their type, in all modes."""

    def at(self, which: Flags | Indices) -> "Entities":
        """Some of the entities, by a mask or by their numbers; `n_invalid` stays that of all words."""
        return Entities(self.start[which], self.end[which], self.type[which], self.n_invalid)


def encode(tags: Iterable[str] | pa.Array | pa.ChunkedArray, types: Sequence[str]) -> Codes:
    """One code per word, from IOB2 tags or from a column of them (strings or a dictionary of strings).

    Raises:
        ValueError: A tag belongs to none of `types`, or is null.
    """
    codes = {tag: code for code, tag in enumerate(tag_vocabulary(types))}
    try:
        if isinstance(tags, pa.Array | pa.ChunkedArray):
            return _encode_column(tags, codes)
        return np.fromiter((codes[tag] for tag in tags), np.int32)
    except KeyError as error:
        raise ValueError(f"the tag {error.args[0]!r} is not among {', '.join(codes)}") from None


def extract(codes: Codes, sentence_starts: Flags, mode: Mode) -> Entities:
    """The entities in a sequence of words.

    - `conlleval` (Tjong Kim Sang's script; seqeval's default): an entity begins at `B-`, and at an `I-` after `O`,
      after another type or at the start of a sentence; the following `I-` of its type belong to it.
    - `strict` (seqeval's `mode="strict", scheme=IOB2`): the entities of `conlleval` that begin with `B-`.
    - `discard` (SeqScore's repair, Palen-Michel et al. 2021): an `I-` that continues no entity of its type is read as
      `O`, and so are the `I-` that continue it. All remaining entities begin with `B-`: they are those of `strict`.

    Args:
        codes: (words,) from `encode`.
        sentence_starts: (words,) true at the first word of each sentence.
    """
    types = (codes - 1) >> 1  # -1 for O
    continues = np.zeros(len(codes), np.bool_)
    np.equal(types[1:], types[:-1], out=continues[1:])
    continues &= ~sentence_starts
    is_begin = (codes & 1).astype(np.bool_)
    is_outside = codes == 0
    begins = ~(is_outside | (continues & ~is_begin))
    breaks = np.flatnonzero(begins | is_outside)
    positions = np.flatnonzero(begins[breaks])
    start, end = breaks[positions], np.append(breaks, len(codes))[positions + 1]
    valid = is_begin[start]
    n_invalid = len(valid) - int(np.count_nonzero(valid))
    entities = Entities(start=start, end=end, type=types[start].astype(np.int64), n_invalid=n_invalid)
    return entities if mode == "conlleval" else entities.at(valid)


def identical(gold: Entities, predicted: Entities, n_words: int) -> Indices:
    """For each gold entity, the number of the predicted one with the same words and type, or -1."""
    number = np.full(n_words, -1, np.int64)
    number[predicted.start] = np.arange(len(predicted.start))
    found = number[gold.start]
    if len(predicted.start):
        found[(predicted.end[found] != gold.end) | (predicted.type[found] != gold.type)] = -1
    return found


def components(readings: Sequence[Entities]) -> list[Indices]:
    """For each tag sequence, the number of each entity's component of overlapping entities, in the order of the words.

    Entities stay within their sentences, so components do, too.
    """
    start = np.concatenate([read.start for read in readings])
    end = np.concatenate([read.end for read in readings])
    order = np.argsort(start, kind="stable")
    opens = np.ones(len(order), np.bool_)
    np.greater_equal(start[order][1:], np.maximum.accumulate(end[order])[:-1], out=opens[1:])
    region = np.empty(len(order), np.int64)
    region[order] = np.cumsum(opens) - 1
    return np.split(region, np.cumsum([len(read.start) for read in readings])[:-1])


def _encode_column(column: pa.Array | pa.ChunkedArray, codes: dict[str, int]) -> Codes:
    if column.null_count:
        raise ValueError(f"{column.null_count} tags are null")
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names = column.dictionary.to_pylist()
    encoded: Codes = np.array([codes.get(tag, -1) for tag in names], np.int32)[dictionary_indices(column)]
    if len(encoded) and encoded.min() < 0:
        raise KeyError(column[int(encoded.argmin())].as_py())
    return encoded
