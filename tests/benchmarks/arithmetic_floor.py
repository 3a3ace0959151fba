"""The minimum time of an evaluation's arithmetic: FLOPs over the rate of matrix products, measured here."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

ROWS = 2048
"""Rows of the matrices, about as many as in a batch."""
REPEATS = 10
Kernel = Callable[[tuple[int, int]], object]
"""Multiplies matrices of a shape."""


class Seconds(NamedTuple):
    """Times for the same work."""

    wall: float
    cpu: float


class Work(NamedTuple):
    """FLOPs of sentences that are computed separately: no padding, no repetition."""

    linear: Counter[tuple[int, int]]
    """By (inputs, outputs) of the layers."""
    attention: int

    @property
    def total(self) -> int:
        """The FLOPs of all products."""
        return self.linear.total() + self.attention


def work_of(model: nn.Module, lengths: Sequence[int]) -> Work:
    """The work of a BERT-like encoder for sentences of these numbers of tokens, including special tokens.

    A product of (m, k) and (k, n) matrices counts 2mkn; other operations do not count.
    """
    pieces = sum(lengths)
    linear: Counter[tuple[int, int]] = Counter()
    for module in model.modules():
        if isinstance(module, nn.Linear):
            linear[module.in_features, module.out_features] += 2 * module.weight.numel() * pieces
    config = model.config
    return Work(linear, 4 * config.num_hidden_layers * config.hidden_size * sum(length**2 for length in lengths))


def timed(run: Callable[[], object]) -> Seconds:
    """The duration of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


class Products:
    """Matrix products of the occurring shapes, by torch's kernel and by oneDNN with packed weights."""

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        self._work = work
        self._shapes = {
            (inputs, outputs): (
                torch.randn(ROWS, inputs).to(dtype),
                torch.randn(outputs, inputs).to(dtype),
                torch.zeros(outputs, dtype=dtype),
            )
            for inputs, outputs in work.linear
        }
        self._packed = self._pack() if torch.backends.mkldnn.is_available() else None

    def _pack(self) -> dict[tuple[int, int], torch.Tensor] | None:
        """The weights in oneDNN's format; None if it does not support this precision on this processor."""
        reorder = torch.ops.mkldnn._reorder_linear_weight
        try:
            return {shape: reorder(weight, ROWS) for shape, (_, weight, _) in self._shapes.items()}
        except RuntimeError:
            return None

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernels that this processor has."""
        return ("torch", "onednn") if self._packed else ("torch",)

    @torch.inference_mode()
    def floors(self) -> dict[str, Seconds]:
        """Seconds for the whole work by each kernel that this processor has.

        Every shape counts at its own rate, attention at their mean.
        """
        return {name: self._floor(kernel) for name, kernel in self._kernels().items()}

    @torch.inference_mode()
    def rates(self) -> dict[tuple[int, int], dict[str, float]]:
        """GFLOP per CPU second of each shape by each kernel; `+ GELU` counts the same FLOPs."""
        kernels = self._kernels() | {f"{name} + GELU": kernel for name, kernel in self._kernels(gelu=True).items()}
        return {
            shape: {
                name: self._work.linear[shape] / self._of_shape(kernel, shape).cpu / 1e9
                for name, kernel in kernels.items()
            }
            for shape in self._shapes
        }

    def _kernels(self, *, gelu: bool = False) -> dict[str, Kernel]:
        plain = nn.functional.linear
        kernels: dict[str, Kernel] = {
            "torch": lambda shape: (
                nn.functional.gelu(plain(*self._shapes[shape])) if gelu else plain(*self._shapes[shape])
            )
        }
        if packed := self._packed:
            kernels["onednn"] = lambda shape: torch.ops.mkldnn._linear_pointwise(
                *(self._shapes[shape][0], packed[shape], self._shapes[shape][2]),
                *("gelu" if gelu else "none", [], "none"),
            )
        return kernels

    def _floor(self, kernel: Kernel) -> Seconds:
        linear = [self._of_shape(kernel, shape) for shape in self._shapes]
        more = self._work.total / self._work.linear.total()
        return Seconds(more * sum(s.wall for s in linear), more * sum(s.cpu for s in linear))

    def _of_shape(self, kernel: Kernel, shape: tuple[int, int]) -> Seconds:
        """The time of all products of a shape, from the fastest repeat."""
        kernel(shape)
        repeats = [timed(lambda: kernel(shape)) for _ in range(REPEATS)]
        times = self._work.linear[shape] / (2 * ROWS * shape[0] * shape[1])
        return Seconds(times * min(s.wall for s in repeats), times * min(s.cpu for s in repeats))
