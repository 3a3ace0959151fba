"""Optimize a loaded model for inference without changing its predictions; skip every optimization that fails a check.

The checks compare each optimization with what transformers computes for the golden sentences, one at a time. Therefore,
every architecture is correct, and architectures with transformers' usual structure are fast.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice

import torch

from nerbench.artifacts.malloc import tune_malloc
from nerbench.tasks.inference.golden_check import PIECES, SENTENCES, pieces_of
from nerbench.tasks.inference.linear_kernels import default_kernel
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.packed_attention import REPLACED, logits_of, use_packed_attention
from nerbench.tasks.inference.packed_linear import Kernel, LinearShape, pack_linear_layers
from nerbench.tasks.inference.quantized_linear import QuantizedLinear

TOLERANCES = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Largest allowed difference of a logit, as a share of the logits' range; rounding errors are far smaller."""
TOLERANCE_INT8 = 1e-1
"""The same for a quantized model, where a rounding error can move an activation to the next integer."""

_logger = logging.getLogger(__name__)
Sentences = Sequence[tuple[int, ...]]
Answers = list[torch.Tensor]
"""One tensor of shape (tokens, labels) per sentence."""


def optimize_for_inference(tagger: LoadedModel, kernels: Mapping[LinearShape, Kernel] | None = None) -> LoadedModel:
    """Optimize the model in place: pack sentences and, on a CPU, choose the kernels of linear layers.

    `kernels`: those of `kernels_for`; other layers get the default kernel.

    If an architecture does not support an optimization, that part of the model stays as it is. If padding would change
    the predictions, as with convolutions over neighbours, or if this cannot be checked, only sentences of equal length
    are batched. Never raises: a model that cannot be optimized is used as loaded.
    """
    try:
        return _optimized(tagger, kernels or {})
    except Exception as error:  # an unusual architecture can raise any exception
        _logger.warning("the model stays as it was loaded, and slow: %s: %s", type(error).__name__, error)
        return replace(tagger, batching="even")


def _optimized(tagger: LoadedModel, kernels: Mapping[LinearShape, Kernel]) -> LoadedModel:
    sentences = golden_inputs(tagger)
    expected = one_by_one(tagger, sentences)
    packed = replace(tagger, batching="packed")
    if _may_pack(tagger) and _proves_itself(
        lambda: use_packed_attention(tagger.model), lambda: _isolates(packed, sentences, expected), "packs no sentences"
    ):
        tagger = packed
    elif not _same(tagger, together(tagger, sentences), expected):
        tagger = replace(tagger, batching="even")
        _logger.info("padding would change the model's answers: it computes equally long sentences together")
    if tagger.device.type != "cpu":
        return tagger
    tune_malloc()
    if torch.backends.mkldnn.is_available():
        answer = one_by_one if tagger.batching == "even" else together
        _proves_itself(
            lambda: pack_linear_layers(tagger.model, lambda shape: kernels.get(shape) or default_kernel(shape)),
            lambda: _same(tagger, answer(tagger, sentences), expected),
            "keeps torch's linear layers",
        )
    return tagger


def golden_inputs(tagger: LoadedModel) -> list[tuple[int, ...]]:
    """The golden sentences as token ids, cut to different lengths, to check padding and positions."""
    longest = min(PIECES, tagger.window)
    limits = (longest - longest // 4, longest, longest - longest // 2)
    return [pieces_of(tagger, sentence, limit) for sentence, limit in zip(SENTENCES, limits, strict=True)]


def one_by_one(tagger: LoadedModel, sentences: Sentences) -> Answers:
    """The logits of each sentence, computed separately by transformers."""
    with torch.inference_mode():
        return [tagger.model(input_ids=torch.tensor([ids], device=tagger.device)).logits[0] for ids in sentences]


def together(tagger: LoadedModel, sentences: Sentences) -> Answers:
    """The logits of each sentence, computed in one batch by the tagger."""
    logits = logits_of(tagger, sentences)
    return [logits.rows[start : start + len(ids)] for start, ids in zip(logits.starts, sentences, strict=True)]


def _may_pack(tagger: LoadedModel) -> bool:
    # The default of transformers where supported; there is no public way to query it.
    chosen = getattr(tagger.model.config, "_attn_implementation", None) == REPLACED
    half_on_gpu = tagger.device.type == "cuda" and bool(
        tagger.model.dtype != torch.float32
    )  # as flash attention requires
    return chosen and (tagger.device.type == "cpu" or half_on_gpu)


def _isolates(tagger: LoadedModel, sentences: Sentences, expected: Answers) -> bool:
    """Whether packed sentences have the same logits, and changing one sentence changes no bit of the others."""
    first, middle, last = sentences
    other = tuple(islice(cycle(last), len(middle)))
    before, after = (together(tagger, (first, ids, last)) for ids in (middle, other))
    isolated = bool(torch.equal(before[0], after[0]) and torch.equal(before[2], after[2]))
    return isolated and _same(tagger, before, expected)


def _same(tagger: LoadedModel, found: Answers, expected: Answers) -> bool:
    quantized = any(isinstance(module, QuantizedLinear) for module in tagger.model.modules())
    tolerance = TOLERANCE_INT8 if quantized else TOLERANCES[expected[0].dtype]
    logits, wanted = torch.cat(found).float(), torch.cat(expected).float()
    allowed = tolerance * float(wanted.max() - wanted.min())
    return float((logits - wanted).abs().max()) <= allowed


def _proves_itself(change: Callable[[], Callable[[], None]], same: Callable[[], bool], otherwise: str) -> bool:
    """Apply a change, which returns its undo function, and keep it only if the logits stay the same."""
    undo: Callable[[], None] | None = None
    reason = "its logits would be others"
    try:
        undo = change()
        if same():
            return True
    except Exception as error:  # an unusual architecture can raise any exception
        reason = f"{type(error).__name__}: {error}"
    if undo:
        undo()
    _logger.info("the model %s: %s", otherwise, reason)
    return False
