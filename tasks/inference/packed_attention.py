"""From windows to one forward pass: packed into a row without padding if the model allows it, otherwise padded.

In a packed row, attention is restricted to each sentence. It is registered with transformers as an attention
implementation; a call without `segments` is transformers' own `sdpa`.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import OFFSET_POSITIONS
from nerbench.tasks.inference.packed_linear import filled

if TYPE_CHECKING:
    from transformers import PreTrainedModel


NAME = "nerbench_segments"
REPLACED = "sdpa"
"""The implementation of transformers that it replaces."""
SHORT = 64
"""Number of tokens up to which a CPU is faster with two plain products than with the fused kernel, which works on
blocks of rows."""
LANES = 16
"""Numbers per vector register. A softmax over fewer neighbours is computed one by one; over rows, it is vectorised."""
_WITHOUT_EFFECT = frozenset({"position_ids", "output_attentions", "output_hidden_states", "use_cache"})


class PackedSentences(NamedTuple):
    """The sentences of a packed row, one after another; tokens after the last one only fill the row."""

    lengths: tuple[int, ...]
    bounds: torch.Tensor
    """(sentences + 1,) int32 on the device: the first token of each sentence, and the end of the last."""

    def runs(self) -> list[tuple[int, int]]:
        """(sentences, length) of runs of neighbours with the same length."""
        return [(len(list(run)), length) for length, run in groupby(self.lengths)]


def use_packed_attention(model: "PreTrainedModel") -> Callable[[], None]:
    """Make the attention of a model with transformers' `sdpa` accept `segments`. Returns the undo function."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return lambda: model.set_attn_implementation(REPLACED)


def attend(  # noqa: PLR0913, PLR0917 - transformers' signature
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    segments: PackedSentences | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """(1, heads, tokens, size) each to (1, tokens, heads, size).

    Raises NotImplementedError if an architecture requests anything but full attention within each sentence.
    """
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, **others
        )
        return found
    unsupported = {name for name, value in others.items() if not (value is None or value is False)} - _WITHOUT_EFFECT
    if unsupported or attention_mask is not None or getattr(module, "is_causal", True) or query.shape != key.shape:
        raise NotImplementedError(f"{type(module).__name__} needs other attention: {', '.join(sorted(unsupported))}")
    return (_varlen if query.is_cuda else _run_by_run)(query, key, value, scaling, segments), None


def _run_by_run(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, segments: PackedSentences
) -> torch.Tensor:
    _, heads, pieces, size = query.shape
    attended = torch.empty((1, pieces, heads, size), dtype=query.dtype, device=query.device)
    scaling = size**-0.5 if scaling is None else scaling
    start = 0
    for count, length in segments.runs():
        rows = slice(start, start + count * length)
        q, k, v = (x[0, :, rows].reshape(heads * count, length, size) for x in (query, key, value))
        found = (_products if length <= SHORT else _fused)(q, k, v, scaling)
        attended[0, rows].view(count, length, heads, size).copy_(
            found.view(heads, count, length, size).permute(1, 2, 0, 3)
        )
        start = rows.stop
    attended[0, start:] = 0
    return attended


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float) -> torch.Tensor:
    q, k, v = q.float() * scaling, k.float(), v.float()  # products in bf16 would keep a kernel for each shape
    if q.shape[1] < LANES:
        return torch.bmm(torch.softmax(torch.bmm(k, q.transpose(1, 2)), 1).transpose(1, 2), v)
    return torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)), 2), v)


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scaling: float) -> torch.Tensor:
    return scaled_dot_product_attention(q[None], k[None], v[None], scale=scaling)[0]


def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, segments: PackedSentences
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    longest, bounds = max(segments.lengths), segments.bounds
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    attended: torch.Tensor = varlen_attn(q, k, v, bounds, bounds, longest, longest, scale=scaling)
    return attended[None]


class Logits(NamedTuple):
    """A model's logits for several windows."""

    rows: torch.Tensor
    """(tokens, labels) on the device, including padding."""
    starts: np.ndarray
    """The row of each window's first token."""


def logits_of(tagger: LoadedModel, windows: Sequence[Sequence[int]]) -> Logits:
    """The logits of windows given as token ids, including special tokens; does not wait for the device."""
    with torch.inference_mode():
        return (_packed if tagger.batching == "packed" else _padded)(tagger, windows)


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy on the device. Later work there waits for it, but this thread does not."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _packed(tagger: LoadedModel, windows: Sequence[Sequence[int]]) -> Logits:
    lengths = np.array([len(ids) for ids in windows])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    pieces = int(bounds[-1])
    row = np.full((1, filled(pieces) if tagger.device.type == "cpu" else pieces), tagger.tokenizer.special.pad)
    row[0, :pieces] = np.concatenate(windows)
    positions = np.full_like(row, _first_position(tagger))
    positions[0, :pieces] += np.arange(pieces) - np.repeat(bounds[:-1], lengths)
    logits = tagger.model(
        input_ids=on_device(row, tagger.device),
        position_ids=on_device(positions, tagger.device),
        segments=PackedSentences(tuple(lengths.tolist()), on_device(bounds.astype(np.int32), tagger.device)),
    ).logits[0]
    return Logits(logits, bounds[:-1])


def _first_position(tagger: LoadedModel) -> int:
    config = tagger.model.config
    return config.pad_token_id + 1 if config.model_type in OFFSET_POSITIONS else 0


def _padded(tagger: LoadedModel, windows: Sequence[Sequence[int]]) -> Logits:
    width = max(len(ids) for ids in windows)
    ids = np.full((len(windows), width), tagger.tokenizer.special.pad, dtype=np.int64)
    mask = np.zeros((len(windows), width), dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    inputs = {"input_ids": on_device(ids, tagger.device)}
    if not mask.all():  # without padding no mask is needed, and attention takes a faster path
        inputs["attention_mask"] = on_device(mask, tagger.device)
    return Logits(tagger.model(**inputs).logits.flatten(0, 1), np.arange(len(windows)) * width)
