"""Sentences in Arrow columns, in memory or in a memory-mapped file. They need a tenth of the memory of Python lists.

A source is read once and written to unnamed files. Large ones are on disk and memory-mapped, so that the system can
drop them from memory, however large the corpus is. A file is deleted when its content is no longer used.

`Dataset.from_generator` takes twice as long. `tests/benchmarks/corpus_datasets.py` measured both on 4.6 million words,
one core, one run: 17.6 s of CPU time for the Dataset, 8.9 s for this module (of which parsing takes 5.1 s). The peak
of the Dataset is lower after reading, 215 MB to 234 MB, and higher in a run that then iterated over all words, 279 MB
to 229 MB. The iteration takes 1.2 s over a Dataset and 0.3 s over a `Column`. The import of `datasets` costs a further
0.9 s and 77 MB, even in a run whose predictions are all cached. Therefore this module has its own format, and
`load_corpus` wraps it in a Dataset for users and for tokenization before training, without copying the words.
"""

import mmap
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import IO, Any, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.unnamed_files import mapped, unnamed_file
from nerbench.tasks.data.readers import Repairs, Sentence, Source
from nerbench.tasks.data.tag_schemes import TagReading

CHUNK = 2048
"""Number of sentences in a chunk."""
_BLOCK = 1 << 16
"""Number of elements in a block of an array."""
MOST_WORDS = (1 << 31) - 1
"""Maximum number of words in a corpus: tables number them in 32 bits."""

Item = TypeVar("Item")


def chunked(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of CHUNK items; the last one may be shorter."""
    iterator = iter(items)
    while run := list(islice(iterator, CHUNK)):
        yield run


class Column(Sequence[list[str]]):
    """Sentences of texts (words or tags), decoded on access. A column equals a list of the same lists."""

    def __init__(self, chunks: Sequence[pa.ListArray]) -> None:
        """`chunks`: list arrays of strings, or of dictionary-encoded strings, that are not slices of others."""
        self.chunks = chunks
        self._ends = np.cumsum([len(chunk) for chunk in chunks], dtype=np.int64)

    @classmethod
    def of(cls, sentences: Sequence[list[str]]) -> "Column":
        """The sentences as a column; a column is returned unchanged."""
        if isinstance(sentences, cls):
            return sentences
        return cls([pa.array(part, pa.list_(pa.string())) for part in chunked(sentences)])

    @property
    def flat(self) -> pa.ChunkedArray:
        """The texts of all sentences, one after another."""
        return pa.chunked_array([chunk.values for chunk in self.chunks], None if self.chunks else pa.string())

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """(sentences,) number of texts in each."""
        parts = [np.diff(chunk.offsets.to_numpy()) for chunk in self.chunks]
        return np.concatenate([*parts, np.array([], np.int32)])

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


_WORDS = pa.schema({"words": pa.list_(pa.string())})
_TAGS = pa.schema({"tags": pa.list_(pa.dictionary(pa.int32(), pa.string()))})


class ArrowCache(NamedTuple):
    """A source after reading."""

    words: Column
    labels: tuple[str, ...]
    """The distinct tags, as written."""
    codes: npt.NDArray[np.intc]
    """(words,) positions in `labels`."""
    documents: Sequence[int] | None
    """(sentences,) 0-based numbers of the documents; None if the source has no documents."""
    at: Sequence[int]
    """(sentences,) line or row numbers, as `Source.place` expects them."""
    repairs: Mapping[int, Repairs]
    """Changes of spans that could not be read as tags, by sentence."""
    tokenizer: str | None
    """The tokenizer that split texts into words; None if the source has words."""

    @property
    def starts(self) -> npt.NDArray[np.bool_]:
        """(words,) true at the first word of each sentence."""
        return _starts(self.words.lengths)

    def tags(self, reading: TagReading) -> Column:
        """The tags in IOB2."""

        def batches() -> Iterator[pa.RecordBatch]:
            done = 0
            for chunk in self.words.parts():
                ends = np.concatenate([[0], np.cumsum(chunk.lengths)])
                labels = pa.DictionaryArray.from_arrays(self.codes[done : done + ends[-1]], list(self.labels))
                tags = reading.read(labels, _starts(chunk.lengths))
                yield pa.record_batch([pa.ListArray.from_arrays(ends.astype(np.int32), tags)], schema=_TAGS)
                done += ends[-1]

        return _column_from_batches(batches(), _TAGS)


def column_from_sentences(sentences: Iterable[list[str]]) -> Column:
    """Sentences of words, mapped from an unnamed file, or in memory if they are few."""
    batches = (pa.record_batch([pa.array(run, _WORDS.field(0).type)], schema=_WORDS) for run in chunked(sentences))
    return _column_from_batches(batches, _WORDS)


def _starts(lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    ends = np.cumsum(lengths)
    starts = np.zeros(ends[-1], np.bool_)
    starts[ends - lengths] = True
    return starts


def cache_as_arrow(source: Source, sentences: Iterable[Sentence]) -> ArrowCache:
    """Read all `sentences` of `source`.

    Raises:
        CorpusError: there is no sentence, a word is not valid Unicode, there are too many words, or reading fails.
    """
    labels: dict[str, int] = {}
    marks = _Boundaries()
    repairs: dict[int, Repairs] = {}
    tokenizers: set[str] = set()

    def words(codes: IO[bytes], documents: IO[bytes], at: IO[bytes]) -> Iterator[pa.RecordBatch]:
        numbered = enumerate(sentences)
        for pairs in chunked(numbered):
            run = [sentence for _, sentence in pairs]
            tags = (tag for sentence in run for tag in sentence.tags)
            codes.write(array("i", [labels.setdefault(tag, len(labels)) for tag in tags]))
            documents.write(array("i", [marks.number(sentence.document) for sentence in run]))
            at.write(array("q", [sentence.at for sentence in run]))
            tokenizers.update(sentence.tokenizer for sentence in run if sentence.tokenizer)
            repairs.update((number, sentence.repairs) for number, sentence in pairs if sentence.repairs)
            yield _batch(run, source)

    with unnamed_file() as codes, unnamed_file() as documents, unnamed_file() as at:
        column = _column_from_batches(words(codes, documents, at), _WORDS)
        if not len(column):
            raise CorpusError(source.name, "holds no sentence", "name a source with words and their tags")
        codes_of_words = np.frombuffer(mapped(codes), np.intc)
        if len(codes_of_words) > MOST_WORDS:
            problem = f"holds {len(codes_of_words):,} words, more than {MOST_WORDS:,}"
            raise CorpusError(source.name, problem, "divide it into several data sets")
        return ArrowCache(
            words=column,
            labels=tuple(labels),
            codes=codes_of_words,
            documents=memoryview(mapped(documents)).cast("i") if marks.any else None,
            at=memoryview(mapped(at)).cast("q"),
            repairs=repairs,
            tokenizer=", ".join(sorted(tokenizers)) or None,
        )


class _Boundaries:
    """Numbers documents consecutively; a document without sentences gets no number."""

    def __init__(self) -> None:
        self.any = False
        self._document: object = None
        self._number = -1

    def number(self, document: object) -> int:
        self.any |= document is not None
        if self._number < 0 or document != self._document:
            self._document = document
            self._number += 1
        return self._number


def _batch(run: Sequence[Sentence], source: Source) -> pa.RecordBatch:
    try:
        return pa.record_batch([pa.array([sentence.words for sentence in run], _WORDS.field(0).type)], schema=_WORDS)
    except UnicodeEncodeError:
        sentence, position = next((s, i) for s in run for i, word in enumerate(s.words) if not _is_text(word))
        problem = f"the word {sentence.words[position]!r} holds half a character (a lone surrogate)"
        raise CorpusError(source.place(sentence.at, position), problem, "write the whole character") from None


def _is_text(word: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in word)


def table_from_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, in_memory: int | None = None) -> pa.Table:
    """A table that is mapped from an unnamed file, or in memory if it is small (see `unnamed_file`).

    The dictionary of a column must be the same in all batches.
    """
    return pa.ipc.open_file(pa.py_buffer(_written(batches, schema, in_memory))).read_all()


def array_from_blocks(blocks: Iterable[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """One-dimensional blocks of a type, one after another; the array can be changed. A large one is mapped from an
    unnamed file."""
    with unnamed_file() as file:
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).data)
        data = mapped(file, mmap.ACCESS_WRITE)
    return np.frombuffer(bytearray(data) if isinstance(data, bytes) else data, dtype)


def blocks_of(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Consecutive parts of an array, small enough to compute with."""
    return (array[start : start + _BLOCK] for start in range(0, len(array), _BLOCK))


def _column_from_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Column:
    return Column(_Mapped(_written(batches, schema)))


def _written(batches: Iterable[pa.RecordBatch], schema: pa.Schema, in_memory: int | None = None) -> mmap.mmap | bytes:
    with unnamed_file(in_memory) as file:
        with pa.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        return mapped(file)


class _Mapped(Sequence[pa.ListArray]):
    """The chunks of a file. During iteration over a mapped one, only the pages of the current chunk stay in memory."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        self._data = data
        reader = pa.ipc.open_file(pa.py_buffer(data))
        self._chunks = [reader.get_batch(number).column(0) for number in range(reader.num_record_batches)]

    def __len__(self) -> int:
        return len(self._chunks)

    @overload
    def __getitem__(self, index: int) -> pa.ListArray: ...
    @overload
    def __getitem__(self, index: slice) -> list[pa.ListArray]: ...
    def __getitem__(self, index: int | slice) -> pa.ListArray | list[pa.ListArray]:
        return self._chunks[index]

    def __iter__(self) -> Iterator[pa.ListArray]:
        for chunk in self._chunks:
            yield chunk
            self._drop_pages()

    def _drop_pages(self) -> None:
        """Drop the pages from memory; a later access reads them from the file again."""
        if isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)
