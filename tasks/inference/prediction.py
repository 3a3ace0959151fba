"""Word tags from a token classifier: fixed blocks, windows in length order, batches by token budget.

Batches form inside blocks of BLOCK sentences, so that a subset of whole blocks, a shard and a rerun give the same bits.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch

from tasks.inference.alignment import Window, tokenize, truncated_words, windows
from tasks.inference.loading import Tagger

BLOCK = 2048
"""Sentences a block; a change makes other batches, so it is part of the evaluation's key."""

BATCH_PIECES = {"cpu": 2048, "mps": 8192, "cuda": 32768}
"""Pieces a batch, padding included, by kind of device."""


class BlockPredictions(NamedTuple):
    """Predictions for the words of one block, in their order."""

    labels: np.ndarray
    """int32 output index a word; -1 where the word had no piece."""
    scores: np.ndarray
    """float32 probability of that label; NaN where the word had no piece."""
    truncated: int
    """Words longer than a whole window, judged by their first pieces."""
    pieces: int
    """Pieces of the block's sentences, special tokens and padding left out."""


def predict(tagger: Tagger, sentences: Iterable[Sequence[str]], *, vote: str = "first") -> Iterator[BlockPredictions]:
    """Predict one label a word, block by block.

    `vote`: `first` piece of a word, `mean` probabilities over its pieces, or its `max` (most confident) piece.
    """
    iterator = iter(sentences)
    while block := list(islice(iterator, BLOCK)):
        yield predict_block(tagger, block, vote=vote)


def predict_block(tagger: Tagger, sentences: Sequence[Sequence[str]], *, vote: str = "first") -> BlockPredictions:
    """Predict one label for every word of at most BLOCK sentences."""
    pieces = tokenize(tagger.tokenizer.backend, sentences)
    cut = windows(pieces, tagger.window, tagger.tokenizer.special)
    offsets = np.concatenate([[0], np.cumsum([len(words) for words in sentences])]).astype(np.int64)
    labels = np.full(offsets[-1], -1, dtype=np.int32)
    scores = np.full(offsets[-1], np.nan, dtype=np.float32)
    order = sorted(range(len(cut)), key=lambda i: len(cut[i].ids))
    for batch in batches([len(cut[i].ids) for i in order], BATCH_PIECES[tagger.device.type]):
        members = [cut[order[i]] for i in batch]
        words = np.concatenate([offsets[w.sentence] + np.asarray(w.words) for w in members])
        labels[words], scores[words] = _decide(_forward(tagger, members), members, vote)
    return BlockPredictions(
        labels=labels,
        scores=scores,
        truncated=truncated_words(pieces, tagger.window, tagger.tokenizer.special),
        pieces=sum(len(p.ids) for p in pieces),
    )


def batches(lengths: Sequence[int], budget: int) -> Iterator[range]:
    """Consecutive runs of ascending `lengths` whose padded size stays within `budget` (one item at least)."""
    start = 0
    for end, length in enumerate(lengths):
        if end > start and (end + 1 - start) * length > budget:
            yield range(start, end)
            start = end
    if start < len(lengths):
        yield range(start, len(lengths))


def _forward(tagger: Tagger, members: Sequence[Window]) -> torch.Tensor:
    """Logits (windows, pieces, labels) on the device."""
    width = max(len(w.ids) for w in members)
    ids = np.full((len(members), width), tagger.tokenizer.special.pad, dtype=np.int64)
    mask = np.zeros((len(members), width), dtype=np.int64)
    for row, window in enumerate(members):
        ids[row, : len(window.ids)] = window.ids
        mask[row, : len(window.ids)] = 1
    inputs = {"input_ids": torch.from_numpy(ids).to(tagger.device)}
    if not mask.all():  # without padding no mask is needed, and attention takes its faster path
        inputs["attention_mask"] = torch.from_numpy(mask).to(tagger.device)
    with torch.inference_mode():
        return tagger.model(**inputs).logits


def _decide(logits: torch.Tensor, members: Sequence[Window], vote: str) -> tuple[np.ndarray, np.ndarray]:
    """Label index and probability for each word that the windows predict, in their order."""
    starts = np.concatenate([np.asarray(w.starts) for w in members])
    rows = np.repeat(np.arange(len(members)), [len(w.starts) for w in members])
    if vote == "first":
        at = logits[torch.from_numpy(rows), torch.from_numpy(starts)]
        best = torch.softmax(at.float(), dim=-1).max(dim=-1)
        return best.indices.cpu().numpy(), best.values.cpu().numpy()
    counts = np.concatenate([np.asarray(w.ends) for w in members]) - starts
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    columns = np.arange(counts.sum()) - np.repeat(first - starts, counts)
    at = logits[torch.from_numpy(np.repeat(rows, counts)), torch.from_numpy(columns)]
    probabilities = torch.softmax(at.float(), dim=-1).cpu().numpy()
    if vote == "mean":
        word = np.add.reduceat(probabilities, first, axis=0) / counts[:, None]
    else:
        word = np.maximum.reduceat(probabilities, first, axis=0)
    return word.argmax(axis=1), word.max(axis=1)
