"""Sentences of texts held in Arrow instead of Python lists: a tenth of the memory, or none where a file is mapped."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

CHUNK = 2048
"""Sentences a chunk."""

Item = TypeVar("Item")


def chunked(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Runs of CHUNK items; the last may be shorter."""
    iterator = iter(items)
    while run := list(islice(iterator, CHUNK)):
        yield run


class Column(Sequence[list[str]]):
    """Sentences of texts (words or tags), decoded where they are looked at; equal to a list of the same lists."""

    def __init__(self, chunks: Sequence[pa.ListArray]) -> None:
        """`chunks` are whole list arrays of strings, or of a dictionary of strings."""
        self.chunks = chunks
        self._ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)

    @classmethod
    def of(cls, sentences: Sequence[list[str]]) -> "Column":
        """The sentences as a column; a column is given back as it is."""
        if isinstance(sentences, cls):
            return sentences
        return cls([pa.array(part, pa.list_(pa.string())) for part in chunked(sentences)])

    @property
    def flat(self) -> pa.ChunkedArray:
        """The texts of all sentences, one after another."""
        return pa.chunked_array([chunk.values for chunk in self.chunks], None if self.chunks else pa.string())

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(sentences,) texts in each."""
        parts = [np.diff(chunk.offsets.to_numpy()) for chunk in self.chunks]
        return np.concatenate([*parts, np.array([], np.int64)], dtype=np.int64)

    def parts(self) -> Iterator["Column"]:
        """Columns of CHUNK sentences; the last may have fewer."""
        return (Column([chunk]) for chunk in self.chunks)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __iter__(self) -> Iterator[list[str]]:
        for chunk in self.chunks:
            texts = _texts(chunk.values)
            yield from (texts[start:end] for start, end in pairwise(chunk.offsets.to_pylist()))

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        number = int(np.searchsorted(self._ends, position, side="right"))
        chunk = self.chunks[number]
        row = position - (int(self._ends[number - 1]) if number else 0)
        start, end = chunk.offsets[row].as_py(), chunk.offsets[row + 1].as_py()
        return _texts(chunk.values[start:end])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Column | list):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]


def _texts(values: pa.Array) -> list[str]:
    texts: list[str] = (values.dictionary_decode() if pa.types.is_dictionary(values.type) else values).to_pylist()
    return texts
