"""Floating-point operations of a model, counted on a copy without numbers."""

from typing import Any

import torch
from transformers import AutoModelForTokenClassification, PreTrainedConfig


def flops_per_token(config: PreTrainedConfig, batch_size: int, sequence_length: int, *, training: bool) -> float:
    """Operations for each piece of a forward pass, or of a forward and a backward pass, at a sequence length.

    A multiplication and an addition are two. Matrix products alone count, as is usual; padding is none.
    """
    from torch.utils.flop_counter import FlopCounterMode  # a second, which only the processes for memory need

    model = empty_model(config)
    with torch.device("meta"):
        ids = torch.zeros((batch_size, sequence_length), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        logits = model(input_ids=ids).logits
        if training:
            logits.sum().backward()
    return float(counter.get_total_flops() / (batch_size * sequence_length))


def empty_model(config: PreTrainedConfig) -> Any:
    """A token classifier whose weights have shapes, and take no memory."""
    with torch.device("meta"):
        return AutoModelForTokenClassification.from_config(config, attn_implementation="eager")
