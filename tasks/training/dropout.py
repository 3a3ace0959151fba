"""Dropout on a CPU from sixteen random bits a number, where torch spends a whole random number of the slow kind.

It takes them from torch's own generator, whose state checkpoints hold.
"""

import torch
from torch import nn

STEPS = 1 << 16
"""A probability is rounded to one of so many."""


class FrugalDropout(nn.Dropout):  # type: ignore[misc]
    """What nn.Dropout does, at a third of its price on a CPU; its very self on other devices."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Numbers of any shape, some of them zero and the others scaled up while training."""
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
