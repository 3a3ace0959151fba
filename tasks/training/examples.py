"""A corpus as a token classifier learns it: windows of pieces, one label for each predicted word."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from nerbench.tasks.corpora.corpus import Corpus
from nerbench.tasks.inference.alignment import Window, tokenize, windows
from nerbench.tasks.inference.loading import LoadedTokenizer

IGNORED = -100
"""The label of pieces that the loss leaves out: special tokens, later pieces, words of another window."""

BLANK = -1
"""The index of an item from which nothing is learnt: for a process that a batch has no sentence for."""


Collator = Callable[[Sequence[dict[str, list[int]]]], dict[str, torch.Tensor]]
"""Makes a batch of items."""


class Examples(torch.utils.data.Dataset[dict[str, list[int]]]):  # type: ignore[misc]
    """Windows as model inputs; the first piece of each predicted word carries the word's tag."""

    def __init__(self, corpus: Corpus, tokenizer: LoadedTokenizer, window: int, tags: Sequence[str]) -> None:
        self.corpus = corpus
        self.tags = tags
        number = {tag: i for i, tag in enumerate(tags)}
        cut = windows(tokenize(tokenizer.backend, corpus.words), window, tokenizer.special)
        self.windows = sorted(cut, key=lambda w: len(w.ids))
        self.items = [self._item(w, number) for w in self.windows]

    def _item(self, window: Window, number: dict[str, int]) -> dict[str, list[int]]:
        labels = [IGNORED] * len(window.ids)
        tags = self.corpus.tags[window.sentence]
        for word, start in zip(window.words, window.starts, strict=True):
            labels[start] = number.get(tags[word], 0)
        return {"input_ids": window.ids, "labels": labels}

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return self.items[index] if index != BLANK else self.items[0] | {"labels": [IGNORED] * len(self.windows[0].ids)}

    @property
    def lengths(self) -> list[int]:
        """Pieces of each item, ascending."""
        return [len(w.ids) for w in self.windows]

    @property
    def occurring(self) -> set[int]:
        """The ids of all pieces, special tokens included."""
        return {piece for window in self.windows for piece in window.ids}

    @property
    def gold(self) -> np.ndarray:
        """(words,) label indexes of all items' words, one after the other."""
        labels: np.ndarray = np.concatenate([item["labels"] for item in self.items])
        words: np.ndarray = labels[labels != IGNORED]
        return words

    def tagged(self, predicted: np.ndarray) -> list[list[str]]:
        """Predicted tags (label indexes of all items' words, one after the other) put back into the sentences."""
        sentences = [["O"] * len(words) for words in self.corpus.words]
        places = ((window.sentence, word) for window in self.windows for word in window.words)
        for (sentence, word), label in zip(places, predicted.tolist(), strict=True):
            sentences[sentence][word] = self.tags[label]
        return sentences


def collate(items: Sequence[dict[str, list[int]]], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch to its longest item; one that needs no padding needs no mask, and attention is faster without."""
    lengths = np.array([len(item["input_ids"]) for item in items])
    mask = np.arange(lengths.max()) < lengths[:, None]
    batch = {}
    for name, filler in (("input_ids", pad), ("labels", IGNORED)):
        padded = np.full(mask.shape, filler)
        padded[mask] = np.concatenate([item[name] for item in items])
        batch[name] = torch.from_numpy(padded)
    return batch if mask.all() else batch | {"attention_mask": torch.from_numpy(mask.astype(np.int64))}
