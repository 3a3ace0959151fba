"""The mentions that a model saw in training: those of the `train` split in its manifest, if that split is available."""

from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import CorpusDigest
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.scoring.entities import Entities, Indices, encode, extract

Mentions = frozenset[bytes]
"""Keys of mentions, from `mention_keys`."""

_SEPARATOR = b"\xff"  # not a byte of UTF-8, so no word contains it
_finding = Lock()


class Unavailable(NamedTuple):
    """Why something is unavailable."""

    reason: str


def training_mentions(corpus: Corpus) -> Mentions:
    """The distinct mentions of a corpus.

    They are decoded as in `conlleval`, so that an entity whose annotation begins with `I-` counts as seen, too.
    """
    found: set[bytes] = set()
    for part in corpus.parts():
        codes = encode(Column.of(part.tags).flat, corpus.types)
        entities = extract(codes, part.sentence_starts, "conlleval")
        found.update(mention_keys(Column.of(part.words).flat, entities, corpus.types))
    return frozenset(found)


def find_training(corpora: Sequence[CorpusDigest], datasets: Sequence[DatasetConfig]) -> Mentions | Unavailable:
    """The mentions of the corpora on which a model was trained, by its manifest.

    A corpus is the `train` split of one of `datasets` with the same words and tags, whatever its name. Each process
    reads such a split once, for all models that were trained on it.
    """
    seen = [corpus for corpus in corpora if corpus.split == "train"]
    if not seen:
        return Unavailable("its manifest names no training corpus")
    configured = tuple(dataset.model_dump_json() for dataset in datasets)
    mentions: set[bytes] = set()
    for corpus in seen:
        with _finding:  # models are scored in parallel: the first one reads for all
            found = _find(corpus.dataset, corpus.words_sha256, corpus.gold_sha256, configured)
        if isinstance(found, Unavailable):
            return found
        mentions |= found
    return frozenset(mentions)


def mention_keys(text: pa.ChunkedArray, entities: Entities, types: Sequence[str]) -> list[bytes]:
    """One key per entity. Two mentions have the same key if and only if their words, case included, and their types
    agree.

    Args:
        text: (words,)
    """
    prefixes = [kind.encode() + _SEPARATOR for kind in types]
    words = join_words(text, entities.start, entities.end)
    return [prefixes[kind] + joined for kind, joined in zip(entities.type.tolist(), words, strict=True)]


def join_words(text: pa.ChunkedArray, start: Indices, end: Indices) -> list[bytes]:
    """The words of each span from `start` up to `end`, as bytes that are unique for these words. Spans are never
    empty."""
    lengths = end - start
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths)
    words = text.cast(pa.string()).combine_chunks().cast(pa.binary()).take(pa.array(positions))
    spans = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), words)
    keys: list[bytes] = pc.binary_join(spans, _SEPARATOR).to_pylist()
    return keys


@lru_cache(maxsize=8)
def _find(name: str, words_sha256: str, gold_sha256: str, datasets: tuple[str, ...]) -> Mentions | Unavailable:
    """Cached by the wanted digests, so that a file that changes in the meantime cannot make the cache wrong."""
    configs = [DatasetConfig.model_validate_json(dataset) for dataset in datasets]
    reason = f"its training corpus ({name} train) is not among the data sets"
    for config in sorted(configs, key=lambda config: config.name != name):
        try:
            corpus = load_splits(config).get("train")
        except InputError as error:
            reason += f" ({error})"
            continue
        if corpus and (corpus.words_sha256, corpus.gold_sha256) == (words_sha256, gold_sha256):
            return training_mentions(corpus)
    return Unavailable(reason)
