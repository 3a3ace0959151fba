"""Annotations and predictions as tests of suspects write them: `Oslo|B-LOC is|O`, one sentence per line."""

from collections.abc import Sequence

import numpy as np

from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.scoring.entities import encode, extract
from nerbench.tasks.suspects.occurrences import Annotation, annotation_of
from nerbench.tasks.suspects.ranking import Prediction

TYPES = ("LOC", "MISC", "ORG", "PER")


def corpus_of(lines: Sequence[str], documents: Sequence[int] | None = None) -> Corpus:
    pairs = [[item.rpartition("|")[::2] for item in line.split()] for line in lines]
    words, tags = ([[pair[at] for pair in line] for line in pairs] for at in (0, 1))
    return Corpus(name="own", split="test", words=words, tags=tags, documents=documents)


def annotated(lines: Sequence[str], documents: Sequence[int] | None = None) -> Annotation:
    return annotation_of(corpus_of(lines, documents), TYPES)


def predicted(lines: Sequence[str], score: float | None = 0.9) -> Prediction:
    corpus = corpus_of(lines)
    codes = encode([tag for tags in corpus.tags for tag in tags], TYPES)
    scores = None if score is None else np.full(len(codes), score, np.float32)
    return Prediction(extract(codes, corpus.sentence_starts, "conlleval"), scores)
