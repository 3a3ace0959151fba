"""A model of nerbench in a separate process, for measurements like those of other taggers, or with other versions.

Options: `folder`; `device`; `dtype`; `max_length`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nerbench.tasks.inference.loading import load_tagger, resolve_device
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import predict_block


class Tagger:
    """The tags that nerbench itself predicts with a model."""

    packages = ("nerbench", "torch", "transformers", "tokenizers")

    def __init__(self, folder: str, device: str = "cpu", dtype: Any = "fp32", max_length: int | None = None) -> None:
        loaded = load_tagger(Path(folder), device=resolve_device(device), precision=dtype, window=max_length)
        self._tagger = optimize_for_inference(loaded)
        self.labels = list(loaded.labels)

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[str]]:
        """The tags of each sentence."""
        sentences = list(sentences)
        names = [*self.labels, "O"]  # number -1, a word without tokens
        tags = iter([names[number] for number in predict_block(self._tagger, sentences).labels])
        for words in sentences:
            yield [next(tags) for _ in words]
