"""From windows to one forward pass: packed into one row without padding where the model takes that, else padded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from nerbench.tasks.inference.linears import filled
from nerbench.tasks.inference.loading import OFFSET_POSITIONS, Tagger
from nerbench.tasks.inference.segments import Segments


class Logits(NamedTuple):
    """A model's answer to several windows."""

    rows: torch.Tensor
    """(pieces, labels) on the device, padding included."""
    starts: np.ndarray
    """The row of each window's first piece."""


def logits_of(tagger: Tagger, windows: Sequence[Sequence[int]]) -> Logits:
    """The logits of windows given as piece ids, special tokens included; nothing waits for the device."""
    with torch.inference_mode():
        return (_packed if tagger.batching == "packed" else _padded)(tagger, windows)


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A copy on the device that later work there waits for, but this thread does not."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _packed(tagger: Tagger, windows: Sequence[Sequence[int]]) -> Logits:
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
        segments=Segments(tuple(lengths.tolist()), on_device(bounds.astype(np.int32), tagger.device)),
    ).logits[0]
    return Logits(logits, bounds[:-1])


def _first_position(tagger: Tagger) -> int:
    config = tagger.model.config
    return config.pad_token_id + 1 if config.model_type in OFFSET_POSITIONS else 0


def _padded(tagger: Tagger, windows: Sequence[Sequence[int]]) -> Logits:
    width = max(len(ids) for ids in windows)
    ids = np.full((len(windows), width), tagger.tokenizer.special.pad, dtype=np.int64)
    mask = np.zeros((len(windows), width), dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    inputs = {"input_ids": on_device(ids, tagger.device)}
    if not mask.all():  # without padding no mask is needed, and attention takes its faster path
        inputs["attention_mask"] = on_device(mask, tagger.device)
    return Logits(tagger.model(**inputs).logits.flatten(0, 1), np.arange(len(windows)) * width)
