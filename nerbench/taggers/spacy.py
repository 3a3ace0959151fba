"""spaCy: the entities of a pipeline over given words. Options: `model`, a package or folder; `batch_size`."""

import spacy
from spacy.tokens import Doc


class Tagger:
    """The entities of a spaCy pipeline."""

    packages = ("spacy",)

    def __init__(self, model="en_core_web_sm", batch_size=256):
        self._nlp = spacy.load(model)
        self._batch_size = batch_size
        meta = self._nlp.meta
        self.versions = {"{}_{}".format(meta["lang"], meta["name"]): meta["version"]}
        self.labels = sorted(
            {label for name in ("ner", "entity_ruler") if name in self._nlp.pipe_names for label in self._nlp.get_pipe(name).labels}
        )

    def predict(self, sentences):
        """The spans of each sentence, end excluded; spaCy gives no scores."""
        documents = (Doc(self._nlp.vocab, words=list(words)) for words in sentences)
        for document in self._nlp.pipe(documents, batch_size=self._batch_size):
            yield [(entity.start, entity.end, entity.label_, None) for entity in document.ents]
