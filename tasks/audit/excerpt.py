"""The first sentences of a corpus, as many as a gate needs to judge by, in a file of their own."""

import json
from itertools import islice
from pathlib import Path

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.corpora.corpus import Corpus

LEAST, MOST = 300, 3000
"""Sentences."""
ENTITIES, UNITS = 50, 20
"""Entities, and documents (sentences where there are none) that hold one: an interval needs 30 in 15."""


def write_excerpt(corpus: Corpus, path: Path) -> None:
    """Write JSON lines with `tokens`, IOB2 `ner_tags` and, where the corpus has documents, `document`.

    Raises CorpusError where the sentences hold no entity.
    """
    n_sentences = enough(corpus)
    words, tags = (list(islice(sentences, n_sentences)) for sentences in (corpus.words, corpus.tags))
    if not any(tag != "O" for sentence in tags for tag in sentence):
        problem = f"the first {n_sentences} sentences of the {corpus.split} split hold no entity"
        raise CorpusError(f"dataset {corpus.name}", problem, "audit with another split: --set benchmark.split=…")
    documents = corpus.documents
    with path.open("w", encoding="utf-8") as file:
        for number, (tokens, ner_tags) in enumerate(zip(words, tags, strict=True)):
            document = {} if documents is None else {"document": int(documents[number])}
            file.write(json.dumps({"tokens": tokens, "ner_tags": ner_tags} | document) + "\n")


def enough(corpus: Corpus) -> int:
    """How many of the first sentences have ENTITIES in UNITS: LEAST or more, never more than MOST or there are."""
    n_entities, units = 0, set()
    for number, tags in enumerate(islice(corpus.tags, MOST)):
        if begun := sum(tag.startswith("B-") for tag in tags):
            n_entities += begun
            units.add(number if corpus.documents is None else corpus.documents[number])
        if number + 1 >= LEAST and n_entities >= ENTITIES and len(units) >= UNITS:
            return number + 1
    return min(len(corpus.tags), MOST)
