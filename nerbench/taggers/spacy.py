"""spaCy: the entities of a pipeline. Options: `model`, a package or folder; `exclude`, components; `batch_size`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import spacy
from spacy.tokens import Doc


class Tagger:
    """The entities that a spaCy pipeline finds in given words."""

    packages = ("spacy",)

    def __init__(self, model: str = "en_core_web_sm", exclude: Sequence[str] = (), batch_size: int = 256) -> None:
        self._nlp = spacy.load(model, exclude=list(exclude))
        self._batch_size = batch_size
        meta = self._nlp.meta
        self.versions = {f"{meta['lang']}_{meta['name']}": meta["version"]}
        finding = [self._nlp.get_pipe(name) for name in ("ner", "entity_ruler") if name in self._nlp.pipe_names]
        self.labels = sorted({label for component in finding for label in component.labels})

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[list[tuple[int, int, str, None]]]:
        """The spans of each sentence; spaCy gives no scores."""
        documents = (Doc(self._nlp.vocab, words=list(words)) for words in sentences)
        for document in self._nlp.pipe(documents, batch_size=self._batch_size):
            yield [(entity.start, entity.end, entity.label_, None) for entity in document.ents]
