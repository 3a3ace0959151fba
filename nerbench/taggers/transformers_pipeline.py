"""transformers' token-classification pipeline, for models that nerbench's own loader refuses.

Options: `model`, a folder or Hub id; `revision`; `aggregation`; `batch_size`; `device`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline


class Tagger:
    """The entities that the pipeline finds in the words joined by spaces."""

    packages = ("torch", "transformers")

    def __init__(
        self,
        model: str,
        revision: str | None = None,
        aggregation: str = "simple",
        *,
        batch_size: int = 8,
        device: int = -1,
    ) -> None:
        if aggregation not in ("simple", "first", "average", "max"):  # `none` yields tokens in place of entities
            raise ValueError(f"the aggregation {aggregation!r} gives no entities; use simple, first, average or max")
        only = {"revision": revision, "trust_remote_code": False}
        self._pipeline = pipeline(
            "token-classification",
            model=AutoModelForTokenClassification.from_pretrained(model, use_safetensors=True, **only),
            tokenizer=AutoTokenizer.from_pretrained(model, **only),
            aggregation_strategy=aggregation,
            device=device,
        )
        self._batch_size = batch_size
        names = self._pipeline.model.config.id2label.values()
        self.labels = sorted({name[2:] if name[1:2] == "-" else name for name in names} - {"O"})

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[tuple[int, int, str, float]]]:
        """Character spans become spans of words; a word belongs to the first span that touches it."""
        sentences = list(sentences)
        texts = [" ".join(words) for words in sentences]
        for words, entities in zip(sentences, self._pipeline(texts, batch_size=self._batch_size)):
            starts = list(accumulate((len(word) + 1 for word in words), initial=0))
            spans, free = [], 0
            for entity in entities:
                start = max(free, bisect_right(starts, entity["start"]) - 1)
                end = bisect_left(starts, entity["end"])
                if end > start:
                    spans.append((start, end, entity["entity_group"], float(entity["score"])))
                    free = end
            yield spans
