"""Floating-point operations of a model, counted on a copy without numbers."""

from typing import Any

import torch
from transformers import AutoModel, AutoModelForTokenClassification, PreTrainedConfig

CLASSES: dict[str, Any] = {"token": AutoModelForTokenClassification, "none": AutoModel}
"""By head. The first output of such a model is (sentences, pieces, labels), or (sentences, pieces, hidden size)."""


def flops_per_token(
    config: PreTrainedConfig, batch_size: int, sequence_length: int, *, training: bool, head: str = "token"
) -> float:
    """Operations for each piece of a forward pass, or of a forward and a backward pass, at a sequence length.

    A multiplication and an addition are two. Matrix products alone count, as is usual; padding is none.
    """
    from torch.utils.flop_counter import FlopCounterMode  # a second, which only the processes for memory need

    model = empty_model(config, head)
    with torch.device("meta"):
        ids = torch.zeros((batch_size, sequence_length), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        outputs = model(input_ids=ids)[0]
        if training:
            outputs.sum().backward()
    return float(counter.get_total_flops() / (batch_size * sequence_length))


def empty_model(config: PreTrainedConfig, head: str = "token") -> Any:
    """A model whose weights have shapes, and take no memory."""
    with torch.device("meta"):
        return CLASSES[head].from_config(config, attn_implementation="eager")
