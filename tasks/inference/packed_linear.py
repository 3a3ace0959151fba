"""Linear layers on a CPU by oneDNN, with weights that are packed once, and with the GELU that follows them.

torch multiplies fp32 matrices with MKL, which leaves half of an AMD processor's vector units idle: 95 GFLOP/s per core
of an EPYC 9005, where oneDNN reaches 215. In bf16, for which torch uses oneDNN itself, packing saves a tenth.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import nn

FULL_ROWS = 512

FOLLOWED_BY_GELU = {"intermediate_act_fn": "dense", "activation": "lin1"}
"""An activation and the linear layer before it in the same module: BERT and related models, and DistilBERT."""

Kernel = Literal["torch", "onednn", "onednn_gelu"]
"""What computes a linear layer: torch, or oneDNN, also together with the GELU that follows."""


class LinearShape(NamedTuple):
    """All that the speed of a linear layer depends on."""

    inputs: int
    outputs: int
    gelu: bool
    """Whether the exact GELU follows."""

    def __str__(self) -> str:
        return f"{self.inputs}x{self.outputs}{' gelu' if self.gelu else ''}"


def filled(rows: int) -> int:
    """The number of rows to which a call is padded: powers of two, then multiples of FULL_ROWS.

    oneDNN creates and keeps a kernel of about a megabyte for each number of rows.
    """
    return max(16, 1 << (rows - 1).bit_length()) if rows < FULL_ROWS else -(-rows // FULL_ROWS) * FULL_ROWS


class PackedLinear(nn.Module):  # type: ignore[misc]
    """A linear layer, with `gelu` followed by the exact GELU; for inference only."""

    def __init__(self, layer: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), 4 * FULL_ROWS)
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.activation = "gelu" if gelu else "none"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, inputs) to (…, outputs)."""
        rows = x.reshape(-1, x.shape[-1])
        if missing := filled(len(rows)) - len(rows):
            rows = nn.functional.pad(rows, (0, 0, 0, missing))
        computed = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, self.activation, [], "none")
        result: torch.Tensor = computed[: len(computed) - missing].view(*x.shape[:-1], -1)
        return result


def linear_layers(model: nn.Module) -> dict[LinearShape, nn.Linear]:
    """One linear layer of each shape of a model."""
    return {shape: layer for module in model.modules() for _, layer, shape, _ in _linear_children(module)}


def pack_linear_layers(model: nn.Module, kernel_of: Callable[[LinearShape], Kernel]) -> Callable[[], None]:
    """Let the kernel of each shape compute a model's linear layers.

    Returns the undo function, which keeps the old layers until it is dropped.
    """
    swaps = [swap for module in model.modules() for swap in _swaps(module, kernel_of)]
    for parent, name, _, new in swaps:
        setattr(parent, name, new)

    def undo() -> None:
        for parent, name, old, _ in swaps:
            setattr(parent, name, old)

    return undo


class _Swap(NamedTuple):
    parent: nn.Module
    name: str
    old: nn.Module
    new: nn.Module


def _swaps(module: nn.Module, kernel_of: Callable[[LinearShape], Kernel]) -> Iterator[_Swap]:
    for name, layer, shape, activation in _linear_children(module):
        kernel = kernel_of(shape)
        if kernel != "torch":
            yield _Swap(module, name, layer, PackedLinear(layer, gelu=kernel == "onednn_gelu"))
        if kernel == "onednn_gelu" and activation:
            yield _Swap(module, activation, module.get_submodule(activation), nn.Identity())


def _linear_children(module: nn.Module) -> Iterator[tuple[str, nn.Linear, LinearShape, str | None]]:
    """Name, layer and shape of the linear layers directly in a module, with the name of the GELU that follows."""
    activations = {layer: activation for activation, layer in before_gelu(module).items()}
    for name, child in module.named_children():
        if type(child) is nn.Linear:
            activation = activations.get(name)
            yield name, child, LinearShape(child.in_features, child.out_features, activation is not None), activation


def before_gelu(module: nn.Module) -> dict[str, str]:
    """The names of a module's exact GELUs, each with that of the linear layer before it."""
    from transformers.activations import GELUActivation

    children = dict(module.named_children())
    return {
        activation: layer
        for activation, layer in FOLLOWED_BY_GELU.items()
        if type(children.get(activation)) is GELUActivation and type(children.get(layer)) is nn.Linear
    }
