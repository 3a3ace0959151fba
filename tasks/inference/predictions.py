"""The evaluation's result: one predicted tag a word, and the digest that identifies it.

`predictions_digest` covers document, sentence, word and predicted tag, never scores; it does not depend on how the
words were cut into blocks, batches or shards.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.tasks.corpora.columns import CHUNK
from nerbench.tasks.corpora.corpus import Corpus

SCHEMA = pa.schema(
    [
        ("document", pa.int32()),
        ("sentence", pa.int32()),
        ("word", pa.int32()),
        ("pred", pa.dictionary(pa.int32(), pa.string())),
        ("score", pa.float32()),
    ]
)


class PredictionsDigest:
    """A running digest over prediction rows, equal however the rows are cut into pieces.

    Each column is hashed on its own (integers as little-endian int32, -1 for no document; tags as lines of UTF-8), and
    the digest is the sha256 of the four column digests.
    """

    def __init__(self) -> None:
        self._columns = [hashlib.sha256() for _ in range(4)]

    def update(self, document: np.ndarray, sentence: np.ndarray, word: np.ndarray, tags: Sequence[str]) -> None:
        """Add rows."""
        for column, values in zip(self._columns, (document, sentence, word), strict=False):
            column.update(np.ascontiguousarray(values, dtype="<i4").tobytes())
        self._columns[3].update("\n".join((*tags, "")).encode())

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(b"".join(column.digest() for column in self._columns)).hexdigest()


class Positions(NamedTuple):
    """Where words stand in their corpus: int32 arrays, one element a word."""

    document: np.ndarray
    """-1 in a corpus without boundaries."""
    sentence: np.ndarray
    word: np.ndarray
    """0-based over the split."""


def positions(corpus: Corpus, sentences: int) -> Iterator[Positions]:
    """The positions of all words, in runs of so many sentences."""
    done = 0
    for first in range(0, len(corpus.lengths), sentences):
        lengths = corpus.lengths[first : first + sentences]
        numbers = np.arange(first, first + len(lengths), dtype=np.int32)
        known = corpus.documents
        documents = np.full(len(lengths), -1) if known is None else np.asarray(known[first : first + sentences])
        words = np.arange(done, done + lengths.sum(), dtype=np.int32)
        done += len(words)
        yield Positions(np.repeat(documents.astype(np.int32), lengths), np.repeat(numbers, lengths), words)


def digest_of(corpus: Corpus, tags: pa.DictionaryArray | pa.ChunkedArray) -> str:
    """The predictions digest of one tag (of a dictionary of strings) for every word of a corpus."""
    digest = PredictionsDigest()
    for rows in positions(corpus, CHUNK):
        here = tags[rows.word[0] : rows.word[-1] + 1]
        digest.update(*rows, here.cast(pa.string()).to_pylist())
    return digest.hexdigest()


def batch(rows: Positions, names: Sequence[str], labels: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
    """Predictions as a record batch of SCHEMA; a NaN score (a word without pieces) is null."""
    columns: list[Any] = [
        pa.array(rows.document, mask=rows.document < 0),
        pa.array(rows.sentence),
        pa.array(rows.word),
        pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), pa.array(list(names), pa.string())),
        pa.array(scores, pa.float32(), mask=np.isnan(scores)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def join(path: Path, blocks: Iterable[pa.Table]) -> str:
    """Write blocks of predictions to a Parquet file, a row group each; returns the digest of them all."""
    digest = PredictionsDigest()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        for block in blocks:
            writer.write_table(block)
            places = Positions(*(block[name].fill_null(-1).to_numpy() for name in Positions._fields))
            digest.update(*places, block["pred"].cast(pa.string()).to_pylist())
    return digest.hexdigest()


def row_groups(path: Path) -> Iterator[pa.Table]:
    """The blocks of a file that a process of ours has just written."""
    with pq.ParquetFile(path, read_dictionary=["pred"]) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)
