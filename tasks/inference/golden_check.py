"""The golden check: a loaded model must give the logits for some fixed sentences that it gave when it was published.

Digests prove that the files are the same. The golden check proves that they have the same meaning for this version of
the libraries on this hardware.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import Golden

if TYPE_CHECKING:
    from nerbench.tasks.inference.loaded_model import LoadedModel

VERSION = 1
"""The version of SENTENCES; other sentences get another version."""
SENTENCES = (
    ("Ada", "Lovelace", "left", "London", "for", "Geneva", "in", "1842", "."),
    ("The", "University", "of", "Oslo", "beat", "Siemens", "AG", "at", "chess", ",", "said", "Reuters", "."),
    ("nobody", "at", "the", "office", "had", "seen", "the", "rain", "coming"),
)
"""From nerbench, never from a user: names of all common types, and a sentence without any."""
PIECES = 24
"""Maximum number of tokens per sentence, including special tokens: enough to detect changes, few enough to store."""
DIGITS = 5

TOLERANCES: Mapping[str, float] = {"fp32": 2e-3, "fp16": 5e-2, "bf16": 0.2}
"""Largest difference of a logit, as a share of the largest recorded one (at least 1), by precision."""

_logger = logging.getLogger(__name__)


def record(tagger: "LoadedModel") -> Golden:
    """The golden outputs of a model, for its manifest; `tagger` computes in fp32 on a CPU."""
    limit = min(PIECES, tagger.window)
    pieces = [pieces_of(tagger, sentence, limit) for sentence in SENTENCES]
    logits = tuple(_nested(_logits(tagger, ids)) for ids in pieces)
    return Golden(sentences=VERSION, limit=limit, pieces=tuple(pieces), logits=logits)


def check(tagger: "LoadedModel", golden: Golden, precision: str, name: str) -> None:
    """Compare with the recorded outputs. Raises CorruptArtifactError if tokens or logits differ.

    Sentences of an unknown version are skipped, with a warning.
    """
    if golden.sentences != VERSION:
        _logger.warning("%s: its golden sentences are of version %d; not compared", name, golden.sentences)
        return
    for sentence, pieces, logits in zip(SENTENCES, golden.pieces, golden.logits, strict=True):
        if pieces_of(tagger, sentence, golden.limit) != pieces:
            raise _changed(name, f"its tokenizer cuts {' '.join(sentence)!r} into other tokens")
        expected, found = np.asarray(logits), _logits(tagger, pieces)
        if expected.shape != found.shape:
            raise _changed(name, f"it gives {found.shape[-1]} logits per token")
        furthest = float(np.abs(found - expected).max())
        allowed = TOLERANCES[precision] * max(1.0, float(np.abs(expected).max()))
        if not furthest <= allowed:  # so that NaN is refused too
            raise _changed(name, f"its logits differ by {furthest:.3g}, more than {allowed:.3g} in {precision}")


def _changed(name: str, how: str) -> CorruptArtifactError:
    remedy = "install the versions that `nerbench artifacts show` names, or publish it again"
    return CorruptArtifactError(f"model {name}: its outputs differ from those at publication: {how}; {remedy}")


def pieces_of(tagger: "LoadedModel", sentence: Sequence[str], limit: int) -> tuple[int, ...]:
    """The model's input for a sentence, cut to `limit` tokens, including special tokens."""
    special = tagger.tokenizer.special
    encoded = tagger.tokenizer.backend.encode(list(sentence), is_pretokenized=True, add_special_tokens=False)
    room = limit - len(special.prefix) - len(special.suffix)
    return (*special.prefix, *encoded.ids[:room], *special.suffix)


def _logits(tagger: "LoadedModel", pieces: Sequence[int]) -> np.ndarray:
    """Logits (tokens, labels) of one sentence, without padding."""
    import torch

    with torch.inference_mode():
        logits = tagger.model(input_ids=torch.tensor([pieces], device=tagger.device)).logits[0]
    found: np.ndarray = logits.float().cpu().numpy()
    return found


def _nested(logits: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(number), DIGITS) for number in row) for row in logits)
