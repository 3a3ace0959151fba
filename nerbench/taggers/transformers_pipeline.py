"""transformers' token-classification pipeline. Options: `model`, a folder or Hub id; `revision`; `aggregation`, `device`.

For models that nerbench's own loader refuses, such as architectures without a fast tokenizer.
"""

from bisect import bisect_left, bisect_right

from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline


class Tagger:
    """The entities that the pipeline finds in the words joined by spaces."""

    packages = ("torch", "transformers")

    def __init__(self, model, revision=None, aggregation="simple", batch_size=8, device=-1):
        safe = {"revision": revision, "trust_remote_code": False}
        self._pipeline = pipeline(
            "token-classification",
            model=AutoModelForTokenClassification.from_pretrained(model, use_safetensors=True, **safe),
            tokenizer=AutoTokenizer.from_pretrained(model, **safe),
            aggregation_strategy=aggregation,
            device=device,
        )
        self._batch_size = batch_size
        names = self._pipeline.model.config.id2label.values()
        self.labels = sorted({name[2:] if name[1:2] == "-" else name for name in names} - {"O"})

    def predict(self, sentences):
        """Character spans become spans of words; a word belongs to the first span that touches it."""
        sentences = [list(words) for words in sentences]
        texts = [" ".join(words) for words in sentences]
        for words, entities in zip(sentences, self._pipeline(texts, batch_size=self._batch_size)):
            starts = [sum(len(word) + 1 for word in words[:n]) for n in range(len(words))]
            spans, free = [], 0
            for entity in entities:
                start = max(free, bisect_right(starts, entity["start"]) - 1)
                free = max(start, bisect_left(starts, entity["end"]))
                if free > start:
                    spans.append((start, free, entity["entity_group"], float(entity["score"])))
            yield spans
