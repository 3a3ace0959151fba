"""GLiNER: types as prompts. Options: `model`, a folder with model.safetensors; `types`; `threshold`; `batch_size`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from gliner import GLiNER


class Tagger:
    """The entities of the given types that GLiNER finds in the words joined by spaces."""

    packages = ("gliner", "torch", "transformers")

    def __init__(self, model: str, types: Sequence[str], threshold: float = 0.5, batch_size: int = 8) -> None:
        if not Path(model, "model.safetensors").is_file():
            raise ValueError(f"{model} is not a folder with model.safetensors; pickled weights are not loaded")
        self._model = GLiNER.from_pretrained(model, local_files_only=True)
        self.labels = list(types)
        self._settings = {"flat_ner": True, "threshold": threshold, "batch_size": batch_size}

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[tuple[int, int, str, float]]]:
        """Character spans of the text become spans of words."""
        sentences = list(sentences)
        texts = [" ".join(words) for words in sentences]
        for words, entities in zip(sentences, self._model.inference(texts, self.labels, **self._settings)):
            starts = list(accumulate((len(word) + 1 for word in words), initial=0))
            yield [
                (bisect_right(starts, e["start"]) - 1, bisect_left(starts, e["end"]), e["label"], float(e["score"]))
                for e in entities
            ]
