"""A corpus as a token classifier learns it: windows of pieces, one label for each predicted word."""

from collections.abc import Sequence

import numpy as np
import torch

from tasks.corpora.corpus import Corpus
from tasks.inference.alignment import Window, tokenize, windows
from tasks.inference.loading import LoadedTokenizer

IGNORED = -100
"""The label of pieces that the loss leaves out: special tokens, later pieces, words of another window."""


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
        return self.items[index]

    @property
    def lengths(self) -> list[int]:
        """Pieces of each item, ascending."""
        return [len(w.ids) for w in self.windows]

    def tagged(self, predicted: np.ndarray) -> list[list[str]]:
        """Predicted tags (items, pieces; label indexes) put back into the corpus's sentences."""
        sentences = [["O"] * len(words) for words in self.corpus.words]
        for row, window in zip(predicted, self.windows, strict=True):
            for word, start in zip(window.words, window.starts, strict=True):
                sentences[window.sentence][word] = self.tags[row[start]]
        return sentences


def collate(items: Sequence[dict[str, list[int]]], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad a batch to its longest item."""
    width = max(len(item["input_ids"]) for item in items)
    ids = torch.full((len(items), width), pad, dtype=torch.long)
    labels = torch.full((len(items), width), IGNORED, dtype=torch.long)
    mask = torch.zeros((len(items), width), dtype=torch.long)
    for row, item in enumerate(items):
        length = len(item["input_ids"])
        ids[row, :length] = torch.tensor(item["input_ids"])
        labels[row, :length] = torch.tensor(item["labels"])
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
