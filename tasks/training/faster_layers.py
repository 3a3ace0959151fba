"""Layers that train faster: embeddings of the tokens that occur, and dropout from sixteen random bits per number.

An embedding that no sentence uses has no gradient. AdamW only decays it, in every step by the same factor for all
unused embeddings. Therefore, one row represents all of them, and neither the optimizer nor the gradient's norm nor
checkpoints process a large vocabulary again and again.

Dropout takes its bits from torch's own generator, whose state checkpoints hold.
"""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from transformers import PreTrainedModel


class OccurringEmbedding(nn.Embedding):  # type: ignore[misc]
    """The rows of an embedding that occur, addressed by their ids in the whole embedding, and an unused row of ones."""

    def __init__(self, whole: nn.Embedding, occurring: torch.Tensor) -> None:
        """`occurring`: ascending ids, including that of the padding if there is one."""
        number = torch.full((whole.num_embeddings,), -1)
        number[occurring] = torch.arange(len(occurring))
        padding = None if whole.padding_idx is None else int(number[whole.padding_idx])
        super().__init__(len(occurring) + 1, whole.embedding_dim, padding_idx=padding)
        self.register_buffer("number", number, persistent=False)
        with torch.no_grad():
            self.weight[:-1] = whole.weight[occurring]
            self.weight[-1] = 1

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(…) ids of the whole vocabulary to (…, size). Raises IndexError for an id that is not in `occurring`."""
        embedded: torch.Tensor = super().forward(self.number[ids])
        return embedded


def shrink_embeddings(network: PreTrainedModel, ids: Iterable[int]) -> Callable[[], None]:
    """Make `network` learn only the embeddings of `ids`. Returns a function that restores the whole vocabulary after
    training.

    An embedding that is not torch's, or whose weights are shared with other modules, does not change.
    """
    whole = network.get_input_embeddings()
    users = sum(weight is whole.weight for _, weight in network.named_parameters(remove_duplicate=False))
    if type(whole) is not nn.Embedding or whole.max_norm or whole.scale_grad_by_freq or users != 1:
        return lambda: None
    occurring = torch.tensor(sorted({*ids} | ({whole.padding_idx} - {None})))
    if len(occurring) >= whole.num_embeddings:
        return lambda: None
    learning = OccurringEmbedding(whole, occurring)
    network.set_input_embeddings(learning)

    def restore() -> None:
        with torch.no_grad():
            trained = learning.weight.to(whole.weight.device)
            whole.weight *= trained[-1]  # decayed like the row of ones
            whole.weight[occurring] = trained[:-1]
        network.set_input_embeddings(whole.to(learning.weight.device))

    return restore


STEPS = 1 << 16
"""Probabilities are rounded to multiples of 1 / STEPS."""


class FrugalDropout(nn.Dropout):  # type: ignore[misc]
    """nn.Dropout at a third of its cost on a CPU; on other devices, nn.Dropout itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape; in training, some numbers are zero and the others scaled up."""
        dropped = round(self.p * STEPS)
        if not self.training or x.device.type != "cpu" or not 0 < dropped < STEPS:
            unchanged: torch.Tensor = super().forward(x)
            return unchanged
        kept = _bits(x.numel()).view(x.shape) >= dropped - STEPS // 2
        return x * kept.to(x.dtype).mul_(STEPS / (STEPS - dropped))


def _bits(n: int) -> torch.Tensor:
    """(n,) int16, all values equally likely."""
    draws = torch.empty((n + 3) // 4, dtype=torch.int64)
    return draws.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)[:n]


def use_frugal_dropout(network: nn.Module) -> None:
    """Replace the dropout layers of a network."""
    for module in [*network.modules()]:
        for name, child in [*module.named_children()]:
            if type(child) is nn.Dropout:
                setattr(module, name, FrugalDropout(child.p))
