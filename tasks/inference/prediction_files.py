"""The result of an evaluation as a file: one predicted tag per word, and a digest of all of them.

Inference writes the file block by block, so that no corpus must fit into memory. `predictions_digest` covers document,
sentence, word and predicted tag, but not scores. It does not depend on how the words were divided into blocks, batches
or shards.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nerbench.tasks.data.arrow_cache import CHUNK, Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import OUTSIDE

if TYPE_CHECKING:
    from nerbench.tasks.inference.loaded_model import LoadedModel
    from nerbench.tasks.inference.prediction import BlockPredictions


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
    """A running digest over prediction rows that does not depend on how the rows are divided.

    Each column is hashed separately (integers as little-endian int32, -1 for no document; tags as lines of UTF-8), and
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
    """The positions of words in their corpus: int32 arrays with one element per word."""

    document: np.ndarray
    """-1 in a corpus without boundaries."""
    sentence: np.ndarray
    word: np.ndarray
    """Number of the word in the split, from 0."""


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
    """The predictions digest of one tag per word of a corpus; tags are a dictionary of strings."""
    digest = PredictionsDigest()
    for rows in positions(corpus, CHUNK):
        here = tags[rows.word[0] : rows.word[-1] + 1]
        digest.update(*rows, here.cast(pa.string()).to_pylist())
    return digest.hexdigest()


def batch(rows: Positions, names: Sequence[str], labels: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
    """Predictions as a record batch of SCHEMA; a NaN score (a word without tokens) is null."""
    columns: list[Any] = [
        pa.array(rows.document, mask=rows.document < 0),
        pa.array(rows.sentence),
        pa.array(rows.word),
        pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), pa.array(list(names), pa.string())),
        pa.array(scores, pa.float32(), mask=np.isnan(scores)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def join(path: Path, blocks: Iterable[pa.Table]) -> str:
    """Write blocks of predictions to a Parquet file, one row group each. Returns the digest of all blocks."""
    digest = PredictionsDigest()
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        for block in blocks:
            writer.write_table(block)
            places = Positions(*(block[name].fill_null(-1).to_numpy() for name in Positions._fields))
            digest.update(*places, block["pred"].cast(pa.string()).to_pylist())
    return digest.hexdigest()


def row_groups(path: Path) -> Iterator[pa.Table]:
    """The blocks of a file that a process of nerbench has just written."""
    with pq.ParquetFile(path, read_dictionary=["pred"]) as file:
        for number in range(file.num_row_groups):
            yield file.read_row_group(number)


class Inferred(NamedTuple):
    """The result of an inference."""

    predictions_digest: str
    words: int
    truncated: int
    """Words longer than a whole window."""
    vanished: int
    """Words without tokens."""
    evaluate_s: float
    """Seconds from words in memory to tags in memory. Tokenization that another model of the run did counts as zero."""


def infer(  # noqa: PLR0913 - what is inferred, and where it goes
    path: Path,
    tagger: "LoadedModel",
    corpus: Corpus,
    *,
    aggregation_strategy: str,
    blocks: range,
    on_progress: Callable[[int], None],
) -> Inferred:
    """Predict the words of some consecutive blocks of a corpus into a Parquet file, one row group per block.

    `on_progress` gets the number of words done.
    """
    from nerbench.tasks.inference.prediction import predict
    from nerbench.tasks.inference.tokenization import tokenize_once

    # A dictionary with "O" twice would make the bytes of the file differ from run to run.
    names = tagger.labels if OUTSIDE in tagger.labels else (*tagger.labels, OUTSIDE)
    sentences = sentences_of(corpus, blocks)
    predicted = predict(tagger, sentences, aggregation_strategy=aggregation_strategy, tokenizing=tokenize_once)
    return write_blocks(path, predicted, names, corpus, blocks=blocks, on_progress=on_progress)


def write_blocks(  # noqa: PLR0913 - as above
    path: Path,
    predicted: Iterator["BlockPredictions"],
    names: Sequence[str],
    corpus: Corpus,
    *,
    blocks: range,
    on_progress: Callable[[int], None],
) -> Inferred:
    """Write predictions as they come. `names`: the label of each number, which may grow during the call."""
    from nerbench.tasks.inference.prediction import BLOCK

    digest, done, truncated, vanished, seconds = PredictionsDigest(), 0, 0, 0, 0.0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        rows_of_blocks = islice(positions(corpus, BLOCK), blocks.start, blocks.stop)
        for rows, (block, elapsed) in zip(rows_of_blocks, _timed(predicted), strict=True):
            seconds += elapsed
            labels = np.where(block.labels < 0, names.index(OUTSIDE), block.labels).astype(np.int32)
            writer.write_batch(batch(rows, names, labels, block.scores))
            digest.update(*rows, [names[i] for i in labels])
            done, truncated = done + len(labels), truncated + block.truncated
            vanished += int((block.labels < 0).sum())
            on_progress(done)
    return Inferred(digest.hexdigest(), done, truncated, vanished, seconds)


def n_blocks(corpus: Corpus) -> int:
    """The number of blocks in a corpus; the last one may have fewer sentences."""
    from nerbench.tasks.inference.prediction import BLOCK

    return -(-len(corpus.lengths) // BLOCK)


def equal_shares(corpus: Corpus, blocks: range, n: int) -> list[range]:
    """Consecutive blocks of a corpus in n runs with nearly equal numbers of words, some perhaps without a block.

    Equal numbers of blocks would leave those at the end idle: the last block may be small, and sentences differ.
    """
    from nerbench.tasks.inference.prediction import BLOCK

    starts = np.arange(0, len(corpus.lengths), BLOCK)
    ends = np.append(0, np.cumsum(np.add.reduceat(corpus.lengths, starts, dtype=np.int64)[blocks.start : blocks.stop]))
    goals = ends[-1] * np.arange(n + 1) / n
    bounds = [blocks.start + int(np.abs(ends - goal).argmin()) for goal in goals]
    return [range(start, stop) for start, stop in pairwise(bounds)]


def first_word(corpus: Corpus, block: int) -> int:
    """The number of the first word of a block."""
    from nerbench.tasks.inference.prediction import BLOCK

    return int(corpus.lengths[: block * BLOCK].sum(dtype=np.int64))


def sentences_of(corpus: Corpus, blocks: range) -> Iterator[list[str]]:
    """The sentences of consecutive blocks; chunks before them are not decoded."""
    from nerbench.tasks.inference.prediction import BLOCK

    start, stop = blocks.start * BLOCK, blocks.stop * BLOCK
    skipped = start // CHUNK
    parts = islice(Column.of(corpus.words).parts(), skipped, None)
    return islice(chain.from_iterable(parts), start - skipped * CHUNK, stop - skipped * CHUNK)


def _timed(iterator: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    while True:
        started = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item, time.perf_counter() - started
