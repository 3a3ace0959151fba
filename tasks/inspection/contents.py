"""Counts the contents of a split in one pass: words, entities and repeated sentences."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inspection.facts import LabelFacts, Overlap
from nerbench.tasks.inspection.tokenizer_fit import TokenCounter
from nerbench.tasks.scoring.entities import Entities, encode, extract


@dataclass(kw_only=True)
class Contents:
    """The counts of one split."""

    words: Counter[str] = field(default_factory=Counter)
    entities: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The count of each (type, words joined by blanks)."""
    entity_words: Counter[str] = field(default_factory=Counter)
    """The number of words in entities, by type."""
    sentences: dict[bytes, bytes] = field(default_factory=dict)
    """By the digest of the words of each distinct sentence, the digest of its first tags."""
    repeats: Counter[bytes] = field(default_factory=Counter)
    """The count of each sentence, by the digest of its words."""
    contradictions: int = 0
    without_entity: int = 0

    @property
    def duplicates(self) -> int:
        """Number of sentences whose words occurred earlier in the split."""
        return self.repeats.total() - len(self.repeats)

    @property
    def n_entities(self) -> int:
        """Number of entities of all types."""
        return self.entities.total()


def gather(corpus: Corpus, counter: TokenCounter | None) -> Contents:
    """Count the contents of a split. An `I-` that does not continue an entity begins one, as in conlleval."""
    found, types = Contents(), corpus.types
    for part in corpus.parts():
        sentences, tags = list(part.words), list(part.tags)
        codes = encode(Column.of(part.tags).flat, types)
        entities = extract(codes, part.sentence_starts, "conlleval")
        _add_entities(found, entities, types, sentences, part.lengths)
        _add_sentences(found, sentences, tags)
        if counter:
            counter.add(sentences)
    return found


def label_facts(own: Contents, train: Contents | None, types: Sequence[str]) -> tuple[LabelFacts, ...]:
    """The facts of each type, including types without an entity in this split."""
    by_type: dict[str, list[tuple[str, int]]] = {kind: [] for kind in types}
    for (kind, text), count in own.entities.items():
        by_type[kind].append((text, count))
    facts = []
    for kind, texts in by_type.items():
        n = sum(count for _, count in texts)
        seen = None if train is None else sum(count for text, count in texts if (kind, text) in train.entities)
        share = round(n / own.n_entities, 6) if n else 0.0
        words = own.entity_words[kind]
        facts.append(LabelFacts(label=kind, entities=n, words=words, share=share, distinct=len(texts), seen=seen))
    return tuple(facts)


def overlap(split: str, own: Contents, earlier_split: str, earlier: Contents) -> Overlap:
    """The sentences and entities of a split that occur in an earlier one."""
    sentences = sum(count for digest, count in own.repeats.items() if digest in earlier.sentences)
    entities = sum(count for entity, count in own.entities.items() if entity in earlier.entities)
    return Overlap(
        split=split,
        earlier=earlier_split,
        sentences=sentences,
        sentence_share=round(sentences / own.repeats.total(), 6),
        entities=entities,
        entity_share=round(entities / own.n_entities, 6) if entities else 0.0,
    )


def _add_entities(
    found: Contents, entities: Entities, types: Sequence[str], sentences: list[list[str]], lengths: np.ndarray
) -> None:
    ends = np.cumsum(lengths)
    of = np.searchsorted(ends, entities.start, side="right")
    starts = entities.start - (ends - lengths)[of]
    sizes = entities.end - entities.start
    for sentence, start, size, kind in zip(
        of.tolist(), starts.tolist(), sizes.tolist(), entities.type.tolist(), strict=True
    ):
        found.entities[types[kind], " ".join(sentences[sentence][start : start + size])] += 1
        found.entity_words[types[kind]] += size
    found.without_entity += len(sentences) - len(set(of.tolist()))


def _add_sentences(found: Contents, sentences: list[list[str]], tags: list[list[str]]) -> None:
    for words, of_words in zip(sentences, tags, strict=True):
        found.words.update(words)
        digest, its_tags = _digest(words), _digest(of_words)
        found.contradictions += found.sentences.setdefault(digest, its_tags) != its_tags
        found.repeats[digest] += 1


def _digest(texts: list[str]) -> bytes:
    return blake2b("\n".join(texts).encode(), digest_size=16).digest()
