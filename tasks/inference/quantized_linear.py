"""Linear layers in int8 on a CPU: weights are quantized once by output, activations by row in every call.

The scale of a row depends on this row only, and products of integers are exact. Therefore, as in fp32, a sentence has
the same logits whatever sentences are beside it. ONNX Runtime and torch's former quantization scale whole batches.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from nerbench.artifacts.errors import InputError
from nerbench.tasks.inference import golden_check
from nerbench.tasks.inference.packed_linear import FULL_ROWS, before_gelu, filled

if TYPE_CHECKING:
    from nerbench.tasks.inference.loaded_model import LoadedModel

ACTIVATIONS, WEIGHTS = 127, 63
"""The largest integers, symmetric around 0. A processor without VNNI instructions adds two products of an unsigned
activation (up to 255) and a weight in 16 bits: larger weights would overflow there, and other processors would give
other tags."""
ZERO = 128
"""The unsigned integer of an activation of 0. In oneDNN, the product of two signed matrices takes a thousand times as
long as that of unsigned activations and signed weights (torch 2.13, AVX-512)."""
TOLERANCE = 0.3
"""Largest difference of a logit from fp32, as a share of the largest one (at least 1)."""
_TINY = torch.finfo(torch.float32).tiny


class QuantizedLinear(nn.Module):  # type: ignore[misc]
    """A linear layer with int8 products, with `gelu` followed by the exact GELU; for inference only."""

    def __init__(self, layer: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self.gelu = gelu
        weight = layer.weight.detach()
        scale = _scale(weight, WEIGHTS)
        integers = (weight / scale).round_().to(torch.int8)
        quantized = torch.ops.onednn.qlinear_prepack(integers, [4 * FULL_ROWS, layer.in_features])
        bias = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
        self.register_buffer("weight", quantized)
        self.register_buffer("scale", scale[:, 0])
        self.register_buffer("zero", torch.zeros(1, dtype=torch.int32))
        self.register_buffer("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, inputs) to (…, outputs), float32."""
        rows = x.reshape(-1, x.shape[-1])
        count = len(rows)
        if missing := filled(count) - count:
            rows = nn.functional.pad(rows, (0, 0, 0, missing))
        scale = _scale(rows, ACTIVATIONS)
        signed = (rows / scale).round_().to(torch.int8)  # a conversion of floats to uint8 takes eight times as long
        sums = torch.ops.onednn.qlinear_pointwise(
            signed.view(torch.uint8).bitwise_xor_(ZERO),
            *(1.0, ZERO, self.weight, self.scale, self.zero),
            *(None, 1.0, 0, torch.float32, "none", [], ""),
        )
        torch.addcmul(self.bias, sums, scale, out=sums)  # a second matrix of this size would not stay in the cache
        if self.gelu:
            torch.ops.aten.gelu_(sums)
        result: torch.Tensor = sums[:count].view(*x.shape[:-1], -1)
        return result


def quantize(tagger: "LoadedModel", name: str) -> None:
    """Quantize the linear layers of a loaded fp32 model, called `name` in messages.

    Raises InputError if this processor's oneDNN lacks int8 products, or if they change the logits of the golden
    sentences by more than TOLERANCE.
    """
    before = golden_check.record(tagger).logits
    try:
        quantize_linear_layers(tagger.model)
        after = golden_check.record(tagger).logits
    except RuntimeError as error:
        problem = f"this processor computes no int8 products: {' '.join(str(error).split())[:200]}"
        raise InputError("benchmark.dtype", problem, "use fp32") from error
    for expected, found in zip(map(np.asarray, before), map(np.asarray, after), strict=True):
        furthest, largest = float(np.abs(found - expected).max()), max(1.0, float(np.abs(expected).max()))
        if not furthest <= TOLERANCE * largest:
            problem = f"int8 changes logits of model {name} by {furthest:.3g} of {largest:.3g}"
            raise InputError("benchmark.dtype", problem, "use fp32 or bf16")


def quantize_linear_layers(model: nn.Module) -> None:
    """Replace a model's linear layers in place, each with the exact GELU that follows it.

    The classifier stays, because its outputs decide the tags.
    """
    labels = getattr(getattr(model, "config", None), "num_labels", None)
    for module in list(model.modules()):
        children = module.named_children()
        layers = {name: child for name, child in children if type(child) is nn.Linear and child.out_features != labels}
        activations = {layer: activation for activation, layer in before_gelu(module).items() if layer in layers}
        for name, layer in layers.items():
            setattr(module, name, QuantizedLinear(layer, gelu=name in activations))
        for activation in activations.values():
            setattr(module, activation, nn.Identity())


def _scale(rows: torch.Tensor, largest: int) -> torch.Tensor:
    """(rows, 1) the float32 number that an integer of a row stands for."""
    # One call of `aminmax` takes about twenty times as long as these two.
    high, low = rows.amax(dim=1, keepdim=True), rows.amin(dim=1, keepdim=True)
    return torch.maximum(high, low.neg_()).div_(largest).clamp_min_(_TINY)
