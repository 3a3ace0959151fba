"""A corpus as a token classifier learns it: windows of pieces, one label for each predicted word."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from nerbench.tasks.corpora.corpus import Corpus
from nerbench.tasks.inference.loading import LoadedTokenizer
from nerbench.tasks.inference.prediction import runs_of
from nerbench.tasks.training.tokenized import IGNORED, tokenized

BLANK = -1
"""The index of an item from which nothing is learnt: for a process that a batch has no sentence for."""


Item = dict[str, Any]
"""`input_ids` and `labels` of a window, each a list or an array."""
Collator = Callable[[Sequence[Item]], dict[str, torch.Tensor]]
"""Makes a batch of items."""


class Examples(torch.utils.data.Dataset[Item]):  # type: ignore[misc]
    """Windows as model inputs, ascending in length; the first piece of each predicted word carries the word's tag."""

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
        """Pieces of each item, ascending."""
        lengths: list[int] = self._sizes.tolist()
        return lengths

    @property
    def occurring(self) -> set[int]:
        """The ids of all pieces, special tokens included."""
        return set(np.unique(self._ids).tolist())

    @property
    def gold(self) -> np.ndarray:
        """(words,) label indexes of all items' words, one after the other."""
        labels: np.ndarray = self._labels[runs_of(self._starts, self._sizes)]
        words: np.ndarray = labels[labels != IGNORED]
        return words

    def tagged(self, predicted: np.ndarray) -> list[list[str]]:
        """Predicted tags (label indexes of all items' words, one after the other) put back into the sentences."""
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
    """Pad a batch to its longest item; one that needs no padding needs no mask, and attention is faster without."""
    lengths = np.array([len(item["input_ids"]) for item in items])
    mask = np.arange(lengths.max()) < lengths[:, None]
    batch = {}
    for name, filler in (("input_ids", pad), ("labels", IGNORED)):
        padded = np.full(mask.shape, filler)
        padded[mask] = np.concatenate([item[name] for item in items])
        batch[name] = torch.from_numpy(padded)
    return batch if mask.all() else batch | {"attention_mask": torch.from_numpy(mask.astype(np.int64))}
