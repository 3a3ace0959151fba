"""Training batches by token budget: similar lengths together, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from nerbench.tasks.inference.prediction import batches
from nerbench.tasks.training.examples import BLANK, Collator, Examples
from nerbench.tasks.training.ranks import ALONE, Ranks

LENGTH_NOISE = 0.1
"""Relative noise on lengths before sorting, so that batches differ from epoch to epoch.

A third of it would save most of the padding, and lost 0.4 points of F1 (one epoch of a third of CoNLLpp, seven seeds).
"""


class TokenBatches:
    """A batch sampler: every item once an epoch, batches of about `budget` padded pieces, in random order.

    The batch sizes are fixed by the sorted lengths alone, so that every epoch has the same number of steps and the
    learning-rate schedule is known beforehand. Order and composition depend on (seed, epoch) and nothing else. Of
    several processes, each takes its part of every batch; a blank item, where there are fewer items than processes.
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
    """The batches of an epoch as tensors on the device; the host does not wait for their copies to a GPU."""

    def __init__(self, examples: Examples, sampler: TokenBatches, collate: Collator, device: torch.device) -> None:
        super().__init__(examples, batch_sampler=sampler, collate_fn=collate, pin_memory=device.type == "cuda")
        self.device = device

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for batch in super().__iter__():
            yield {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

    def set_epoch(self, epoch: int) -> None:
        """Called by the training loop before each epoch."""
        self.batch_sampler.set_epoch(epoch)
