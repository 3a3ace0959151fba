"""What the header of a safetensors file says: its tensors, without a byte of them being read.

The format: 8 bytes with the length of the header, the header as a JSON object, then the tensors without gaps
(https://github.com/huggingface/safetensors#format).
"""

import json
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from nerbench.artifacts.errors import UnsafeArtifactError

MAX_HEADER_BYTES = 16 << 20
MAX_DIMENSIONS = 16
MAX_SIZE = 1 << 62
"""Of a dimension or a position. More is no file, and products of long numbers take minutes."""
_LENGTH_BYTES = 8
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of a number of each type."""

Part = Callable[[int, int], bytes]
"""Reads the bytes from one position to before another."""


class Tensor(NamedTuple):
    """One tensor of a file."""

    name: str
    dtype: str
    """As safetensors calls it: `F32`, `BF16`, …"""
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Its numbers."""
        return prod(self.shape)


def read_tensors(part: Part, size: int, where: str) -> list[Tensor]:
    """The tensors of a safetensors file of `size` bytes, known as `where` in messages.

    Raises UnsafeArtifactError where it is none: a header that is too long, or that does not fit the file.
    """
    length = int.from_bytes(part(0, _LENGTH_BYTES), "little")
    if length > MAX_HEADER_BYTES:
        raise _unsafe(where, f"has a header of {length} bytes, more than {MAX_HEADER_BYTES}")
    if not 2 <= length <= size - _LENGTH_BYTES:
        raise _unsafe(where, "has no header of its length")
    try:
        header = json.loads(part(_LENGTH_BYTES, _LENGTH_BYTES + length))
        header.pop("__metadata__", None)
        tensors = sorted((_checked(name, said) for name, said in header.items()), key=lambda found: found[1:])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _unsafe(where, "has no header that can be read") from None
    end = 0
    for _, start, stop in tensors:
        if start != end:
            raise _unsafe(where, "has tensors that overlap, or leave gaps")
        end = stop
    if end != size - _LENGTH_BYTES - length:
        raise _unsafe(where, f"has {size - _LENGTH_BYTES - length} bytes of tensors, and its header tells of {end}")
    return [tensor for tensor, _, _ in tensors]


def _checked(name: str, said: dict[str, Any]) -> tuple[Tensor, int, int]:
    """A tensor with its first and last position; raises ValueError where they do not fit its shape."""
    tensor, (start, stop) = Tensor(name, said["dtype"], tuple(said["shape"])), said["data_offsets"]
    if len(tensor.shape) > MAX_DIMENSIONS:
        raise ValueError(name)
    if any(type(number) is not int or not 0 <= number < MAX_SIZE for number in (*tensor.shape, start, stop)):
        raise ValueError(name)
    if (stop - start) * 8 != tensor.parameters * _BITS[tensor.dtype]:
        raise ValueError(name)
    return tensor, start, stop


def _unsafe(where: str, problem: str) -> UnsafeArtifactError:
    return UnsafeArtifactError(where, problem, "save the model again with save_pretrained, or copy the file again")
