"""Training data: windows with one label per predicted word, in batches by token budget."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loaded_model import LoadedTokenizer
from nerbench.tasks.inference.prediction import batches, runs_of
from nerbench.tasks.training.distributed import ALONE, Ranks
from nerbench.tasks.training.tokenized_corpora import IGNORED, tokenized

BLANK = -1
"""The index of an item without labels, for a process without a sentence in a batch."""
LENGTH_NOISE = 0.1
"""Relative noise on lengths before sorting, so that batches differ between epochs. A third of it would avoid most of
the padding, but lost 0.4 points of F1 (one epoch of a third of CoNLLpp, seven seeds)."""
Item = dict[str, Any]
"""`input_ids` and `labels` of a window, each a list or an array."""
Collator = Callable[[Sequence[Item]], dict[str, torch.Tensor]]
"""Makes a batch from items."""


class Examples(torch.utils.data.Dataset[Item]):  # type: ignore[misc]
    """Windows as model inputs, in ascending order of length; the first token of each predicted word has the word's
    tag."""

    def __init__(self, corpus: Corpus, tokenizer: LoadedTokenizer, window: int, tags: Sequence[str]) -> None:
        self.corpus = corpus
        self.tags = tags
        rows = tokenized(corpus, tokenizer, window, tags).data
        self._ids, self._labels, self._words = (_flat(rows[name]) for name in ("input_ids", "labels", "words"))
        sizes, n_words = (_sizes(rows[name]) for name in ("input_ids", "words"))
        order = np.argsort(sizes, kind="stable")
        self._sizes, self._starts = sizes[order], (np.cumsum(sizes) - sizes)[order]
        self._word_runs = runs_of((np.cumsum(n_words) - n_words)[order], n_words[order])

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> Item:
        if index == BLANK:
            return self[0] | {"labels": np.full(self._sizes[0], IGNORED)}
        if not 0 <= index < len(self):
            raise IndexError(index)
        span = slice(self._starts[index], self._starts[index] + self._sizes[index])
        return {"input_ids": self._ids[span], "labels": self._labels[span]}

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each item, ascending."""
        lengths: list[int] = self._sizes.tolist()
        return lengths

    @property
    def occurring(self) -> set[int]:
        """The ids of all tokens in the data, including special tokens."""
        return set(np.unique(self._ids).tolist())

    @property
    def gold(self) -> np.ndarray:
        """(words,) label indexes of the words of all items."""
        labels: np.ndarray = self._labels[runs_of(self._starts, self._sizes)]
        words: np.ndarray = labels[labels != IGNORED]
        return words

    def tagged(self, predicted: np.ndarray) -> list[list[str]]:
        """Assign predicted tags (label indexes of the words of all items) to the sentences."""
        numbers = np.full(self.corpus.n_words, -1)
        numbers[self._words[self._word_runs]] = predicted
        tags = np.array([*self.tags, "O"], object)[numbers].tolist()
        ends = np.cumsum(self.corpus.lengths).tolist()
        return [tags[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _flat(lists: pa.ChunkedArray) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int32), *(chunk.flatten().to_numpy() for chunk in lists.chunks)])


def _sizes(lists: pa.ChunkedArray) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *(np.diff(chunk.offsets.to_numpy()) for chunk in lists.chunks)])


def collate(items: Sequence[Item], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch to its longest item. Without padding there is no mask, and attention is faster."""
    lengths = np.array([len(item["input_ids"]) for item in items])
    mask = np.arange(lengths.max()) < lengths[:, None]
    batch = {}
    for name, filler in (("input_ids", pad), ("labels", IGNORED)):
        padded = np.full(mask.shape, filler)
        padded[mask] = np.concatenate([item[name] for item in items])
        batch[name] = torch.from_numpy(padded)
    return batch if mask.all() else batch | {"attention_mask": torch.from_numpy(mask.astype(np.int64))}


class TokenBatches:
    """A batch sampler: every item once per epoch, batches of about `budget` tokens with padding, in random order.

    Only the sorted lengths determine the batch sizes, so that every epoch has the same number of steps and the
    learning-rate schedule is known in advance. Order and composition depend only on (seed, epoch). With several
    processes, each takes its part of every batch, or a blank item if there are fewer items than processes.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int, ranks: Ranks = ALONE) -> None:
        self.lengths = np.asarray(lengths)
        self.ranks = ranks
        self.runs = list(batches(sorted(lengths), budget))
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.runs)

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        noise = random.uniform(1 - LENGTH_NOISE, 1 + LENGTH_NOISE, len(self.lengths))
        order = np.lexsort((random.random(len(self.lengths)), self.lengths * noise))
        for run in random.permutation(len(self.runs)):
            batch = order[self.runs[run].start : self.runs[run].stop].tolist()
            yield batch[self.ranks.number :: self.ranks.count] or [BLANK]


class Batches(DataLoader[Any]):  # type: ignore[misc]
    """The batches of an epoch as tensors on the device; the host does not wait for copies to a GPU."""

    def __init__(self, examples: Examples, sampler: TokenBatches, collate: Collator, device: torch.device) -> None:
        super().__init__(examples, batch_sampler=sampler, collate_fn=collate, pin_memory=device.type == "cuda")
        self.device = device

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for batch in super().__iter__():
            yield {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.batch_sampler.set_epoch(epoch)
