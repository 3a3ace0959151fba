"""Inference into a file: one row a word, block by block, so that no corpus has to fit into memory."""

import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nerbench.tasks.corpora.columns import CHUNK, Column
from nerbench.tasks.corpora.corpus import Corpus
from nerbench.tasks.corpora.labels import OUTSIDE

if TYPE_CHECKING:
    from nerbench.tasks.inference.loading import Tagger


class Inferred(NamedTuple):
    """What an inference did."""

    predictions_digest: str
    words: int
    truncated: int
    """Words longer than a whole window."""
    vanished: int
    """Words without any piece."""
    evaluate_s: float
    """Seconds from words in memory to tags in memory; what another model of the run has tokenized counts nothing."""


def infer(  # noqa: PLR0913 - what is inferred, and where it goes
    path: Path, tagger: "Tagger", corpus: Corpus, *, vote: str, blocks: range, on_progress: Callable[[int], None]
) -> Inferred:
    """Predict the words of some consecutive blocks of a corpus into a Parquet file, a row group a block.

    `on_progress` hears the number of words done.
    """
    import pyarrow.parquet as pq

    from nerbench.tasks.inference.prediction import BLOCK, predict
    from nerbench.tasks.inference.predictions import SCHEMA, PredictionsDigest, batch, positions
    from nerbench.tasks.inference.shared_tokens import tokenize_once

    # A dictionary with "O" twice makes the bytes of the file differ from run to run.
    names = tagger.labels if OUTSIDE in tagger.labels else (*tagger.labels, OUTSIDE)
    digest, done, truncated, vanished, seconds = PredictionsDigest(), 0, 0, 0, 0.0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        sentences = _sentences(corpus, blocks.start * BLOCK, blocks.stop * BLOCK)
        predicted = _timed(predict(tagger, sentences, vote=vote, tokenizing=tokenize_once))
        rows_of_blocks = islice(positions(corpus, BLOCK), blocks.start, blocks.stop)
        for rows, (block, elapsed) in zip(rows_of_blocks, predicted, strict=True):
            seconds += elapsed
            labels = np.where(block.labels < 0, names.index(OUTSIDE), block.labels).astype(np.int32)
            writer.write_batch(batch(rows, names, labels, block.scores))
            digest.update(*rows, [names[i] for i in labels])
            done, truncated = done + len(labels), truncated + block.truncated
            vanished += int((block.labels < 0).sum())
            on_progress(done)
    return Inferred(digest.hexdigest(), done, truncated, vanished, seconds)


def n_blocks(corpus: Corpus) -> int:
    """Blocks of a corpus; the last may have fewer sentences."""
    from nerbench.tasks.inference.prediction import BLOCK

    return -(-len(corpus.lengths) // BLOCK)


def _sentences(corpus: Corpus, start: int, stop: int) -> Iterator[list[str]]:
    """Consecutive sentences; chunks before them are not decoded."""
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
