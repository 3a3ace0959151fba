"""GLiNER: types as prompts. Options: `model`, a folder with model.safetensors; `types`; `threshold`; `batch_size`."""

from bisect import bisect_left, bisect_right
from pathlib import Path

from gliner import GLiNER


class Tagger:
    """The entities that GLiNER finds of the given types."""

    packages = ("gliner", "torch", "transformers")

    def __init__(self, model, types, threshold=0.5, batch_size=8):
        if not list(Path(model).glob("*.safetensors")):
            raise ValueError("{} is no folder with model.safetensors; no pickled weights are loaded".format(model))
        self._model = GLiNER.from_pretrained(model, local_files_only=True)
        self.labels = list(types)
        self._threshold, self._batch_size = threshold, batch_size

    def predict(self, sentences):
        """Character spans of the words joined by spaces become spans of words."""
        sentences = [list(words) for words in sentences]
        found = self._model.inference(
            [" ".join(words) for words in sentences],
            self.labels,
            flat_ner=True,
            threshold=self._threshold,
            batch_size=self._batch_size,
        )
        for words, entities in zip(sentences, found):
            starts = word_starts(words)
            yield [
                (bisect_right(starts, e["start"]) - 1, bisect_left(starts, e["end"]), e["label"], float(e["score"]))
                for e in entities
            ]


def word_starts(words):
    """Where each word begins in the words joined by spaces."""
    starts, at = [], 0
    for word in words:
        starts.append(at)
        at += len(word) + 1
    return starts
