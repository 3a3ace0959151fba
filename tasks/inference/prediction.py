"""Word tags from a token classifier: fixed blocks, windows in length order, batches by token budget.

Batches form inside blocks of BLOCK sentences, so that a subset of whole blocks, a shard and a rerun give the same bits.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nerbench.tasks.inference.tagger import Batching, Tagger
from nerbench.tasks.inference.tokenization import Pieces, Window, tokenize, truncated_words, windows

BLOCK = 2048
"""Sentences a block; a change makes other batches, so it is part of the evaluation's key."""

BATCH_PIECES = {"cpu": 2048, "mps": 8192, "cuda": 32768}
"""Pieces a batch, padding included, by kind of device."""

AHEAD = 2
"""Blocks computed at once beside an accelerator."""

Tokenizing = Callable[[Any, Sequence[Sequence[str]]], list[Pieces]]
"""`tokenize`, or what gives the same."""

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def predict(
    tagger: Tagger, sentences: Iterable[Sequence[str]], *, vote: str = "first", tokenizing: Tokenizing = tokenize
) -> Iterator[BlockPredictions]:
    """Predict one label a word, block by block.

    `vote`: `first` piece of a word, `mean` probabilities over its pieces, or its `max` (most confident) piece.
    """
    iterator = iter(sentences)
    blocks = iter(lambda: list(islice(iterator, BLOCK)), [])
    compute = partial(predict_block, tagger, vote=vote, tokenizing=tokenizing)
    # On a CPU the model takes all cores; beside an accelerator they tokenize the next block meanwhile.
    return map(compute, blocks) if tagger.device.type == "cpu" else ahead(compute, blocks)


def ahead(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `compute` makes of the items, in their order, the next one begun before this one is done."""
    with ThreadPoolExecutor(AHEAD) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(pool.submit(compute, item))
            if len(running) > AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def predict_block(
    tagger: Tagger, sentences: Sequence[Sequence[str]], *, vote: str = "first", tokenizing: Tokenizing = tokenize
) -> BlockPredictions:
    """Predict one label for every word of at most BLOCK sentences; equal ones are computed once."""
    number_of: dict[tuple[str, ...], int] = {}
    numbers = [number_of.setdefault(tuple(words), len(number_of)) for words in sentences]
    pieces = tokenizing(tagger.tokenizer.backend, list(number_of))
    cut = sorted(windows(pieces, tagger.window, tagger.tokenizer.special), key=lambda window: len(window.ids))
    first = np.concatenate([[0], np.cumsum([len(words) for words in number_of])]).astype(np.int64)
    labels = np.full(first[-1], -1, dtype=np.int32)
    scores = np.full(first[-1], np.nan, dtype=np.float32)
    if cut:
        words = np.concatenate([first[window.sentence] + np.asarray(window.words) for window in cut])
        labels[words], scores[words] = _decide(_probabilities(tagger, cut, vote), cut, vote)
    everywhere = runs_of(first[numbers], np.diff(first)[numbers])
    shown = [pieces[number] for number in numbers]
    return BlockPredictions(
        labels=labels[everywhere],
        scores=scores[everywhere],
        truncated=truncated_words(shown, tagger.window, tagger.tokenizer.special),
        pieces=sum(len(p.ids) for p in shown),
    )


def batches(lengths: Sequence[int], budget: int, batching: Batching = "padded") -> Iterator[range]:
    """Consecutive runs of ascending `lengths` whose size stays within `budget` (one item at least).

    Padded, that is the size with padding; packed, without; and `even` runs have one length only.
    """
    start = pieces = 0
    for end, length in enumerate(lengths):
        size = pieces + length if batching == "packed" else (end + 1 - start) * length
        if end > start and (size > budget or (batching == "even" and length > lengths[start])):
            yield range(start, end)
            start, pieces = end, 0
        pieces += length
    if start < len(lengths):
        yield range(start, len(lengths))


def _probabilities(tagger: Tagger, cut: Sequence[Window], vote: str) -> np.ndarray:
    """(deciding pieces, labels) of windows in length order, brought to the host all at once."""
    import torch  # only here: a run that infers nothing does without

    from nerbench.tasks.inference.packing import logits_of, on_device

    found = []
    lengths = [len(window.ids) for window in cut]
    for batch in batches(lengths, BATCH_PIECES[tagger.device.type], tagger.batching):
        members = cut[batch.start : batch.stop]
        logits = logits_of(tagger, [window.ids for window in members])
        deciding = on_device(_deciding(members, logits.starts, vote), tagger.device)
        found.append(torch.softmax(logits.rows[deciding].float(), dim=-1))
    together: np.ndarray = torch.cat(found).cpu().numpy()
    return together


def _deciding(members: Sequence[Window], first_rows: np.ndarray, vote: str) -> np.ndarray:
    """The rows of the pieces that decide, word by word, of windows that begin at `first_rows`."""
    starts = [row + np.asarray(window.starts) for row, window in zip(first_rows, members, strict=True)]
    counts = _counts(members) if vote != "first" else np.ones(sum(map(len, starts)), dtype=np.int64)
    return runs_of(np.concatenate(starts), counts)


def runs_of(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers of runs: `starts[i]` and the following, `counts[i]` of them."""
    ends = np.cumsum(counts)
    numbers: np.ndarray = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
    return numbers


def _counts(members: Sequence[Window]) -> np.ndarray:
    """Pieces of each word that the windows predict."""
    return np.concatenate([np.asarray(window.ends) - np.asarray(window.starts) for window in members])


def _decide(probabilities: np.ndarray, cut: Sequence[Window], vote: str) -> tuple[np.ndarray, np.ndarray]:
    """Label index and probability for each word that the windows predict, in their order."""
    if vote != "first":
        counts = _counts(cut)
        combine = np.add if vote == "mean" else np.maximum
        probabilities = combine.reduceat(probabilities, np.cumsum(counts) - counts, axis=0)
        if vote == "mean":
            probabilities /= counts[:, None]
    return probabilities.argmax(axis=1), probabilities.max(axis=1)
