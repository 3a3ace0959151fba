"""Word tags from a token classifier: fixed blocks, windows in length order, batches by token budget.

Batches are formed within blocks of BLOCK sentences, so that a subset of whole blocks, a shard and a rerun give the same
bits.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np

from nerbench.tasks.inference.loaded_model import Batching, LoadedModel
from nerbench.tasks.inference.tokenization import Pieces, Window, tokenize, truncated_words, windows

BLOCK = 2048
"""Sentences per block. Another number makes other batches, so it is part of the evaluation's key."""

BATCH_PIECES = {"cpu": 2048, "mps": 8192, "cuda": 32768}
"""Tokens per batch, including padding, by kind of device."""

AHEAD = 2
"""Blocks that are computed at once beside an accelerator."""

Tokenizing = Callable[[Any, Sequence[Sequence[str]]], list[Pieces]]
"""`tokenize`, or a function with the same results."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class BlockPredictions(NamedTuple):
    """Predictions for the words of one block, in their order."""

    labels: np.ndarray
    """int32 output index of each word; -1 if the word has no token."""
    scores: np.ndarray
    """float32 probability of that label; NaN if the word has no token."""
    truncated: int
    """Words longer than a whole window; their first tokens decide."""
    pieces: int
    """Tokens of the block's sentences, without special tokens and padding."""


def predict(
    tagger: LoadedModel,
    sentences: Iterable[Sequence[str]],
    *,
    aggregation_strategy: str = "first",
    tokenizing: Tokenizing = tokenize,
) -> Iterator[BlockPredictions]:
    """Predict one label per word, block by block.

    `aggregation_strategy`: the `first` token of a word decides, or the `average` probability of its tokens, or its most
    confident token (`max`).
    """
    iterator = iter(sentences)
    blocks = iter(lambda: list(islice(iterator, BLOCK)), [])
    compute = partial(predict_block, tagger, aggregation_strategy=aggregation_strategy, tokenizing=tokenizing)
    # On a CPU, the model uses all cores; beside an accelerator, they tokenize the next block in the meantime.
    return map(compute, blocks) if tagger.device.type == "cpu" else ahead(compute, blocks)


def ahead(compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of `compute` for the items, in order; the next one starts before this one is complete."""
    with ThreadPoolExecutor(AHEAD) as pool:
        running: deque[Future[Result]] = deque()
        for item in items:
            running.append(pool.submit(compute, item))
            if len(running) > AHEAD:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def predict_block(
    tagger: LoadedModel,
    sentences: Sequence[Sequence[str]],
    *,
    aggregation_strategy: str = "first",
    tokenizing: Tokenizing = tokenize,
) -> BlockPredictions:
    """Predict one label for every word of at most BLOCK sentences; equal sentences are computed once."""
    number_of: dict[tuple[str, ...], int] = {}
    numbers = [number_of.setdefault(tuple(words), len(number_of)) for words in sentences]
    pieces = tokenizing(tagger.tokenizer.backend, list(number_of))
    cut = sorted(windows(pieces, tagger.window, tagger.tokenizer.special), key=lambda window: len(window.ids))
    first = np.concatenate([[0], np.cumsum([len(words) for words in number_of])]).astype(np.int64)
    labels = np.full(first[-1], -1, dtype=np.int32)
    scores = np.full(first[-1], np.nan, dtype=np.float32)
    if cut:
        words = np.concatenate([first[window.sentence] + np.asarray(window.words) for window in cut])
        labels[words], scores[words] = _decide(
            _probabilities(tagger, cut, aggregation_strategy), cut, aggregation_strategy
        )
    everywhere = runs_of(first[numbers], np.diff(first)[numbers])
    shown = [pieces[number] for number in numbers]
    return BlockPredictions(
        labels=labels[everywhere],
        scores=scores[everywhere],
        truncated=truncated_words(shown, tagger.window, tagger.tokenizer.special),
        pieces=sum(len(p.ids) for p in shown),
    )


def batches(lengths: Sequence[int], budget: int, batching: Batching = "padded") -> Iterator[range]:
    """Consecutive runs of ascending `lengths` whose size stays within `budget`, with at least one item each.

    The size of a `padded` run includes padding, that of a `packed` one does not; `even` runs have only one length.
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


def _probabilities(tagger: LoadedModel, cut: Sequence[Window], strategy: str) -> np.ndarray:
    """(deciding tokens, labels) of windows in length order, copied to the host all at once."""
    import torch  # only here: a run that infers nothing does without

    from nerbench.tasks.inference.packed_attention import logits_of, on_device

    found = []
    lengths = [len(window.ids) for window in cut]
    for batch in batches(lengths, BATCH_PIECES[tagger.device.type], tagger.batching):
        members = cut[batch.start : batch.stop]
        logits = logits_of(tagger, [window.ids for window in members])
        deciding = on_device(_deciding(members, logits.starts, strategy), tagger.device)
        found.append(torch.softmax(logits.rows[deciding].float(), dim=-1))
    together: np.ndarray = torch.cat(found).cpu().numpy()
    return together


def _deciding(members: Sequence[Window], first_rows: np.ndarray, strategy: str) -> np.ndarray:
    """The rows of the deciding tokens, word by word, of windows that begin at `first_rows`."""
    starts = [row + np.asarray(window.starts) for row, window in zip(first_rows, members, strict=True)]
    counts = _counts(members) if strategy != "first" else np.ones(sum(map(len, starts)), dtype=np.int64)
    return runs_of(np.concatenate(starts), counts)


def runs_of(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Consecutive numbers in runs: `counts[i]` numbers from `starts[i]` on."""
    ends = np.cumsum(counts)
    numbers: np.ndarray = np.arange(counts.sum()) + np.repeat(starts - ends + counts, counts)
    return numbers


def _counts(members: Sequence[Window]) -> np.ndarray:
    """The number of tokens of each word that the windows predict."""
    return np.concatenate([np.asarray(window.ends) - np.asarray(window.starts) for window in members])


def _decide(probabilities: np.ndarray, cut: Sequence[Window], strategy: str) -> tuple[np.ndarray, np.ndarray]:
    """Label index and probability of each word that the windows predict, in order."""
    if strategy != "first":
        counts = _counts(cut)
        combine = np.add if strategy == "average" else np.maximum
        probabilities = combine.reduceat(probabilities, np.cumsum(counts) - counts, axis=0)
        if strategy == "average":
            probabilities /= counts[:, None]
    return probabilities.argmax(axis=1), probabilities.max(axis=1)
