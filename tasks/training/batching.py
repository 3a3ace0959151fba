"""Training batches by token budget: similar lengths together, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np

from tasks.inference.prediction import batches

LENGTH_NOISE = 0.1
"""Relative noise on lengths before sorting, so that batches differ from epoch to epoch."""


class TokenBatches:
    """A batch sampler: every item once an epoch, batches of about `budget` padded pieces, in random order.

    The batch sizes are fixed by the sorted lengths alone, so that every epoch has the same number of steps and the
    learning-rate schedule is known beforehand. Order and composition depend on (seed, epoch) and nothing else.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
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
            yield order[self.runs[run].start : self.runs[run].stop].tolist()
