"""The evaluation's result: one predicted tag a word, and the digest that identifies it.

`predictions_digest` covers document, sentence, word and predicted tag, never scores; it does not depend on how the
words were cut into blocks, batches or shards.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.corpus import Corpus

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
        self._columns[3].update("".join(f"{tag}\n" for tag in tags).encode())

    def hexdigest(self) -> str:
        """The digest of all rows so far."""
        return hashlib.sha256(b"".join(column.digest() for column in self._columns)).hexdigest()


def positions(corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Document (-1 without boundaries), sentence and word number of every word, int32."""
    lengths = np.asarray(corpus.lengths, dtype=np.int64)
    sentence = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    of_sentence = np.full(len(lengths), -1) if corpus.documents is None else np.asarray(corpus.documents)
    return of_sentence.astype(np.int32)[sentence], sentence, np.arange(len(sentence), dtype=np.int32)


def digest_of(corpus: Corpus, tags: Sequence[str]) -> str:
    """The predictions digest of one tag for every word of a corpus."""
    digest = PredictionsDigest()
    digest.update(*positions(corpus), tags)
    return digest.hexdigest()


def batch(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], names: Sequence[str], labels: np.ndarray, scores: np.ndarray
) -> pa.RecordBatch:
    """Predictions as a record batch of SCHEMA; a NaN score (a word without pieces) is null."""
    document, sentence, word = rows
    columns: list[Any] = [
        pa.array(document, mask=document < 0),
        pa.array(sentence),
        pa.array(word),
        pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), pa.array(list(names), pa.string())),
        pa.array(scores, pa.float32(), mask=np.isnan(scores)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
