"""A model judged by a held-out corpus, on all the processes that train it: each predicts a share of the batches."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from nerbench.tasks.inference.prediction import BATCH_PIECES, batches
from nerbench.tasks.training.examples import Examples, collate
from nerbench.tasks.training.ranks import Ranks
from nerbench.tasks.training.tokenized import IGNORED


class Validation(NamedTuple):
    """A held-out corpus, and the processes that share it."""

    examples: Examples
    pad: int
    """The id of padding."""
    ranks: Ranks

    def predict(self, network: nn.Module, device: torch.device) -> tuple[np.ndarray, float]:
        """(words,) predicted label indexes, and the mean loss per word; equal in all processes."""
        network.eval()
        runs = list(batches(self.examples.lengths, BATCH_PIECES[device.type]))
        mine = range(self.ranks.number, len(runs), self.ranks.count)
        found = dict(zip(mine, self._judge(network, device, [runs[number] for number in mine]), strict=True))
        together = {number: judged for part in self.ranks.gathered(found) for number, judged in part.items()}
        judged = [together[number] for number in range(len(runs))]
        predicted = np.concatenate([batch.labels for batch in judged])
        return predicted, sum(batch.loss for batch in judged) / len(predicted)

    def _judge(self, network: nn.Module, device: torch.device, runs: Sequence[range]) -> "list[Judged]":
        with torch.inference_mode():
            on_device = list(self._forward(network, device, runs))
        return [Judged(labels.cpu().numpy(), float(loss)) for labels, loss in on_device]

    def _forward(
        self, network: nn.Module, device: torch.device, runs: Sequence[range]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Labels of the words, and the sum of their losses, of each batch; nothing waits for the device."""
        pinned = device.type == "cuda"
        loader = DataLoader(
            self.examples, batch_sampler=runs, collate_fn=partial(collate, pad=self.pad), pin_memory=pinned
        )
        for batch in loader:
            inputs = {name: tensor.to(device, non_blocking=pinned) for name, tensor in batch.items()}
            labels = inputs.pop("labels")
            learnt = labels != IGNORED
            logits = network(**inputs).logits[learnt].float()
            yield logits.argmax(dim=-1), cross_entropy(logits, labels[learnt], reduction="sum")


class Judged(NamedTuple):
    """What a model says of a batch."""

    labels: np.ndarray
    """(words,) label indexes."""
    loss: float
    """Summed over the words."""
