"""A corpus as everything else sees it: sentences of words with IOB2 tags, and digests that identify both."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from artifacts.errors import CorpusError
from tasks.config import DatasetConfig, GoldConfig
from tasks.conll import read_conll
from tasks.labels import entity_types, rename_tag
from tasks.sentences import TaggedSentences, recognise_scheme, to_iob2


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One split under one annotation.

    The digests are sha256 over UTF-8 lines that end in a line feed: for each sentence one compact JSON array
    (`["EU","rejects"]`, not escaped to ASCII) of its words or tags; and an empty line before the first sentence of each
    document, where the source has documents. They depend on nothing else: not on names, files or original schemes.
    """

    name: str
    """The data set's name, or a further gold's."""
    split: str
    """`train`, `validation` or `test`."""
    words: list[list[str]]
    """Sentences of at least one word."""
    tags: list[list[str]]
    """One IOB2 tag a word."""
    documents: list[int] | None
    """The 0-based document of each sentence, never falling; None when the source has no boundaries."""

    @cached_property
    def words_sha256(self) -> str:
        """Digest of the words with their sentence and document boundaries."""
        return _digest(self.words, self.documents)

    @cached_property
    def gold_sha256(self) -> str:
        """Digest of the tags with their sentence and document boundaries."""
        return _digest(self.tags, self.documents)

    @cached_property
    def types(self) -> list[str]:
        """The entity types in the tags, sorted."""
        return entity_types(tag for sentence in self.tags for tag in sentence)

    @cached_property
    def lengths(self) -> list[int]:
        """Words in each sentence."""
        return [len(sentence) for sentence in self.words]

    @cached_property
    def n_words(self) -> int:
        """Words in all sentences."""
        return sum(self.lengths)


def load_splits(config: DatasetConfig) -> dict[str, Corpus]:
    """All splits of a data set, normalised to IOB2, its types renamed and ignored as `config` says.

    The scheme is recognised over all splits together. Where `iob2` is declared, tags stay as written: an entity that
    begins with `I-` is one by conlleval's rules and none by the strict ones.

    Raises:
        CorpusError: a split cannot be read, its schemes contradict each other, or label_map or ignore_labels name a
            type that no split has.
    """
    sources = _read(config)
    scheme = config.scheme
    if scheme == "auto":
        scheme = recognise_scheme(
            sources.values(), remedy="correct one of them, or declare `scheme: iob1` or `scheme: iob2`"
        )
    corpora = {
        split: Corpus(
            name=config.name,
            split=split,
            words=source.words,
            tags=to_iob2(source.tags) if scheme == "iob1" else source.tags,
            documents=source.documents,
        )
        for split, source in sources.items()
    }
    _check_named_types(config, corpora)
    return {split: replace(corpus, tags=_rename(corpus.tags, config)) for split, corpus in corpora.items()}


def pick_split(corpora: Mapping[str, Corpus], split: str, config: DatasetConfig) -> Corpus:
    """The split of that name.

    Raises:
        CorpusError: the data set has none; lists those it has.
    """
    if split not in corpora:
        raise CorpusError(
            f"dataset {config.name}", f"it has no {split} split", f"declare one, or choose among {', '.join(corpora)}"
        )
    return corpora[split]


def load_gold(config: GoldConfig, dataset: DatasetConfig, words: Corpus) -> Corpus:
    """A further annotation of the sentences of `words`, whose documents it takes: only sentences are compared.

    It is read with the data set's format, columns and types, and its scheme is recognised on its own.

    Raises:
        CorpusError: it cannot be read, or its words are not those of `words`; names the first that differs.
    """
    source = _read_gold(config, dataset, words.split)
    _check_same_words(source, words)
    scheme = recognise_scheme([source], remedy="write the whole file in one scheme")
    tags = to_iob2(source.tags) if scheme == "iob1" else source.tags
    return replace(words, name=config.name, tags=_rename(tags, dataset))


def _read(config: DatasetConfig) -> dict[str, TaggedSentences]:
    if config.format == "conll":
        return {split: read_conll(path, config) for split, path in config.files.items()}
    from tasks.hub import read_hub

    return dict(read_hub(config))


def _read_gold(config: GoldConfig, dataset: DatasetConfig, split: str) -> TaggedSentences:
    if dataset.format == "conll":
        return read_conll(config.file, dataset)
    sources = _read(dataset.model_copy(update={"path": config.file, "config": None, "revision": None}))
    if split not in sources:
        raise CorpusError(f"gold {config.name}", f"{config.file} has no {split} split", f"it has {', '.join(sources)}")
    return sources[split]


def _check_same_words(source: TaggedSentences, corpus: Corpus) -> None:
    remedy = f"a gold annotates the very words of {corpus.name}'s {corpus.split} split"
    for number, (theirs, ours) in enumerate(zip(source.words, corpus.words, strict=False)):
        if theirs == ours:
            continue
        shorter = min(len(theirs), len(ours))
        word = next((i for i in range(shorter) if theirs[i] != ours[i]), shorter)
        at = source.place(number, min(word, len(theirs) - 1))
        there, here = (repr(s[word]) if word < len(s) else "the end of the sentence" for s in (theirs, ours))
        raise CorpusError(at, f"{there} stands where {corpus.name} has {here} (sentence {number}, word {word})", remedy)
    if len(source.words) != len(corpus.words):
        problem = f"it has {len(source.words)} sentences, {corpus.name} has {len(corpus.words)}"
        raise CorpusError(source.source, problem, remedy)


def _check_named_types(config: DatasetConfig, corpora: Mapping[str, Corpus]) -> None:
    types = sorted({kind for corpus in corpora.values() for kind in corpus.types})
    for field, names in (("label_map", config.label_map), ("ignore_labels", config.ignore_labels)):
        if unknown := sorted(set(names) - set(types)):
            problem = f"{config.name} has no entity type {', '.join(unknown)}"
            raise CorpusError(f"dataset {config.name}: {field}", problem, f"its types are {', '.join(types) or 'none'}")


def _rename(tags: list[list[str]], config: DatasetConfig) -> list[list[str]]:
    renamed = {
        tag: rename_tag(tag, config.label_map, config.ignore_labels)
        for tag in {tag for sentence in tags for tag in sentence}
    }
    return [[renamed[tag] for tag in sentence] for sentence in tags]


def _digest(sentences: Sequence[list[str]], documents: Sequence[int] | None) -> str:
    digest = hashlib.sha256()
    previous = None
    for number, sentence in enumerate(sentences):
        if documents is not None and documents[number] != previous:
            previous = documents[number]
            digest.update(b"\n")
        digest.update(json.dumps(sentence, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()
