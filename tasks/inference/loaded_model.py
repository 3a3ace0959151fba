"""A token classifier ready for inference, and its tokenizer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nerbench.tasks.inference.tokenization import SpecialTokens

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


Batching = Literal["padded", "packed", "even"]


@dataclass(frozen=True, kw_only=True)
class LoadedTokenizer:
    """A fast tokenizer without truncation and padding, and the special tokens that its model expects."""

    wrapper: "PreTrainedTokenizerBase"
    backend: "Tokenizer"
    special: SpecialTokens


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A token classifier ready for inference."""

    model: "PreTrainedModel"
    tokenizer: LoadedTokenizer
    labels: tuple[str, ...]
    """The model's label names by output index."""
    window: int
    """Maximum number of tokens per window, including special tokens."""
    device: "torch.device"
    ignored_keys: tuple[str, ...] = ()
    """Weights of the file that this architecture does not use."""
    batching: Batching = "padded"
    """How windows are batched: `packed` into one row without padding, `padded`, or `even`, only those of equal
    length."""
