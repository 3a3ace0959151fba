"""A corpus: sentences of words with IOB2 tags, further annotations of the words, and the digests of both."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import FIELDS_OF, DatasetConfig, GoldConfig
from nerbench.tasks.data.alignment import Alignment, align_annotation
from nerbench.tasks.data.arrow_cache import ArrowCache, Column, cache_as_arrow
from nerbench.tasks.data.label_matching import check_named_types
from nerbench.tasks.data.readers import FILE_FORMATS, NO_REPAIRS, Repairs, Sentence, Source, read_splits
from nerbench.tasks.data.splits import read_divided, undivided
from nerbench.tasks.data.tag_schemes import (
    Scheme,
    SchemeEvidence,
    count_invalid,
    entity_types,
    read_tags,
    split_tag,
)

log = logging.getLogger(__name__)
DATASETS_KEPT = 4
"""Number of data sets to keep, the most recently read ones; their words are on disk."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """One split under one annotation.

    The digests are sha256 over UTF-8 lines that end in a line feed: for each sentence one compact JSON array
    (`["EU","rejects"]`, not escaped to ASCII) of its words or tags, and an empty line before the first sentence of each
    document if the source has documents. Names, files and original tag schemes do not change them.
    """

    name: str
    """The name of the data set or of an additional gold."""
    split: str
    """`train`, `validation` or `test`."""
    words: Sequence[list[str]]
    """Sentences of at least one word; those of a file are read from disk on access."""
    tags: Sequence[list[str]]
    """One IOB2 tag per word."""
    documents: Sequence[int] | None
    """The 0-based document of each sentence, in ascending order; None if the source has no document boundaries."""
    n_repaired: int = 0
    """Number of repairs: invalid tags that were read as `B-`, and spans that cut a word."""
    first_repaired: str | None = None
    """The place of the first such tag in any split of the source, or else of the first such span."""
    repairs: Repairs = NO_REPAIRS
    """Numbers of spans of the source that could not be read as they are."""
    tokenizer: str | None = None
    """The tokenizer that split the texts of the source into words; None if the source has words."""
    rows: Sequence[int] | None = None
    """Positions of the sentences in the source that `split` divided; None if the source is not divided."""
    alignment: Alignment | None = None
    """The origin of the words, for an additional annotation with other words; None if the words are the same."""

    def parts(self) -> Iterator["Corpus"]:
        """The corpus in parts of CHUNK sentences, to limit the memory of work on it."""
        done = 0
        for words, tags in zip(Column.of(self.words).parts(), Column.of(self.tags).parts(), strict=True):
            start, done = done, done + len(words)
            documents = None if self.documents is None else self.documents[start:done]
            rows = None if self.rows is None else self.rows[start:done]
            yield replace(self, words=words, tags=tags, documents=documents, rows=rows)

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
        return entity_types(Column.of(self.tags).flat.unique().to_pylist())

    @cached_property
    def lengths(self) -> npt.NDArray[np.int32]:
        """(sentences,) number of words in each."""
        return Column.of(self.words).lengths

    @property
    def sentence_starts(self) -> npt.NDArray[np.bool_]:
        """(words,) true at the first word of each sentence."""
        starts = np.zeros(self.n_words, np.bool_)
        starts[np.cumsum(self.lengths) - self.lengths] = True
        return starts

    @cached_property
    def n_words(self) -> int:
        """Number of words in all sentences."""
        return int(self.lengths.sum())


def load_splits(config: DatasetConfig) -> dict[str, Corpus]:
    """All splits of a data set, with IOB2 tags, and with its types renamed and ignored as `config` declares.

    The tag scheme is recognised from all splits together. An invalid `I-`, `E-` or `L-` begins an entity, unless
    `config.invalid` refuses it. Unchanged local files are read once per process.

    Raises:
        CorpusError: a split cannot be read or has no sentence, tags belong to contradictory schemes, a tag is invalid
            and refused, or label_map or ignore_labels name a type that no split has.
    """
    versions = file_versions(config)
    return dict(_splits_once(config.model_dump_json(), versions)) if versions else _splits(config, _read(config))


@lru_cache(maxsize=DATASETS_KEPT)
def _splits_once(config: str, versions: tuple[tuple[int, ...], ...]) -> dict[str, Corpus]:
    return _splits(DatasetConfig.model_validate_json(config), _read_once(config, versions))


class ReadSources(NamedTuple):
    """All splits of a data set as they are written."""

    sources: Mapping[str, Source]
    cached: Mapping[str, ArrowCache]
    """The contents of each source."""
    evidence: SchemeEvidence
    """From the tags of all splits."""


def read_sources(config: DatasetConfig) -> ReadSources:
    """Read all splits of a data set. Unchanged local files are read once per process, also for `load_splits`.

    Raises:
        CorpusError: a split cannot be read or has no sentence, or a tag belongs to no scheme.
    """
    versions = file_versions(config)
    return _read_once(config.model_dump_json(), versions) if versions else _read(config)


@lru_cache(maxsize=DATASETS_KEPT)
def _read_once(config: str, versions: tuple[tuple[int, ...], ...]) -> ReadSources:
    return _read(DatasetConfig.model_validate_json(config))


def _read(config: DatasetConfig) -> ReadSources:
    evidence = SchemeEvidence(config.scheme, config.invalid)
    sources = read_divided(config)
    return ReadSources(sources, {split: read_whole(source, evidence) for split, source in sources.items()}, evidence)


def file_versions(config: DatasetConfig) -> tuple[tuple[int, ...], ...] | None:
    """The state of the files of a data set, which is equal if they are unchanged; None if only their content tells."""
    if (
        config.format not in FILE_FORMATS
        or config.format == "brat"
        or any("://" in path for path in config.files.values())
    ):
        return None
    try:
        states = [Path(path).stat() for path in config.files.values()]
    except (OSError, ValueError):  # the reader reports the reason
        return None
    return tuple((of.st_dev, of.st_ino, of.st_size, of.st_mtime_ns, of.st_ctime_ns) for of in states)


def _splits(config: DatasetConfig, read: ReadSources) -> dict[str, Corpus]:
    sources, cached, evidence = read
    scheme = evidence.scheme("correct one of them, or declare the data set's `scheme`")
    check_named_types(config, (split_tag(label, scheme) for one in cached.values() for label in one.labels))
    return {
        split: Corpus(
            name=config.name,
            split=split,
            words=one.words,
            documents=one.documents,
            rows=sources[split].rows,
            tokenizer=one.tokenizer,
            **annotation(one, scheme, config, evidence.first_invalid(scheme), sources[split]),
        )
        for split, one in cached.items()
    }


def pick_split(corpora: Mapping[str, Corpus], split: str, config: DatasetConfig) -> Corpus:
    """The split with a name.

    Raises:
        CorpusError: the data set has no such split; lists its splits.
    """
    if split not in corpora:
        raise CorpusError(
            f"dataset {config.name}", f"it has no {split} split", f"declare one, or choose among {', '.join(corpora)}"
        )
    return corpora[split]


def read_whole(source: Source, evidence: SchemeEvidence) -> ArrowCache:
    """Read all of a source and pass its tags to `evidence`. Raises CorpusError, also if it has no sentence."""
    return cache_as_arrow(source, evidence.watch(source))


def annotation(
    read: ArrowCache, scheme: Scheme, config: DatasetConfig, first_invalid: str | None, source: Source
) -> dict[str, Any]:
    """The fields of a Corpus that depend on the annotation: IOB2 tags, with types renamed and ignored, and repairs.

    `first_invalid`: the place of the first invalid tag, if there is one.
    """
    labels = {label: tag for label in read.labels if (tag := split_tag(label, scheme))}
    reading = read_tags(
        labels,
        inside_begins=True,
        label_map=config.label_map,
        ignore_labels=frozenset(config.ignore_labels),
    )
    n_repaired = count_invalid(list(labels.values()), read.codes, read.starts) if first_invalid else 0
    repairs = Repairs(*map(sum, zip(NO_REPAIRS, *read.repairs.values(), strict=True)))
    cut = [number for number, of in read.repairs.items() if of.cut]
    return {
        "tags": read.tags(reading),
        "n_repaired": n_repaired + repairs.cut,
        "first_repaired": first_invalid or (source.place(read.at[cut[0]], 0) if cut else None),
        "repairs": repairs,
    }


def warn_of_repairs(name: str, corpus: Corpus) -> None:
    """Warn once per process about tags and spans that were repaired in the corpus called `name`."""
    n_cut, n_dropped = corpus.repairs
    if n_tags := corpus.n_repaired - n_cut:
        _warn(
            f"{name}: invalid tags, which continue no entity of their type: {n_tags:,} of "
            f"{corpus.n_words:,}, the first of all splits at {corpus.first_repaired}; read as B-, as conlleval does "
            "(`invalid: refuse` makes it an error)"
        )
    if n_cut:
        at = "" if n_tags else f", the first at {corpus.first_repaired}"
        _warn(f"{name}: spans that cut a word, extended to all of it: {n_cut:,}{at} (`invalid: refuse` refuses them)")
    if n_dropped:
        _warn(f"{name}: spans that overlap another one, left out by `flatten`: {n_dropped:,}")


def warn_of_alignment(name: str, corpus: Corpus) -> None:
    """Warn once per process about what an annotation with other words lacks; `name` identifies it."""
    if corpus.alignment:
        n_entities = pc.sum(pc.starts_with(Column.of(corpus.tags).flat.cast(pa.string()), "B-")).as_py()
        _warn(
            f"{name}: has other words than the data set, and is aligned by characters: {corpus.alignment.n_cut:,} "
            f"words are cut where an entity begins or ends; {corpus.alignment.n_unaligned:,} of {n_entities:,} "
            f"entities are not in the text of the data set and count as missed; {corpus.alignment.n_left_out:,} words "
            "of the data set are not annotated and are left out"
        )


@lru_cache(maxsize=128)
def _warn(text: str) -> None:
    log.warning("%s", text)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _digest(sentences: Sequence[list[str]], documents: Sequence[int] | None) -> str:
    digest = hashlib.sha256()
    previous = None
    for number, sentence in enumerate(sentences):
        if documents is not None and documents[number] != previous:
            previous = documents[number]
            digest.update(b"\n")
        digest.update(_compact(sentence).encode() + b"\n")
    return digest.hexdigest()


def load_gold(config: GoldConfig, dataset: DatasetConfig, words: Corpus) -> Corpus:
    """An additional annotation of the sentences of `words`; documents are those of `words`.

    If its sentences or words differ, it is aligned by characters (`nerbench.tasks.data.alignment`). If `words` is a
    part of a divided source, the annotation covers the whole source, in the same words, and the same part of it is
    used.

    The annotation has a tag scheme of its own: declared, or recognised (`io` if the data set declares `io`). Types are
    renamed and ignored, and invalid tags are repaired or refused, as for the data set.

    Raises:
        CorpusError: the annotation cannot be read, annotates another text, or a tag is invalid and refused.
    """
    its = as_dataset(config, dataset, words.split)
    sources = read_splits(its)
    split = words.split if words.rows is None or "files" in FIELDS_OF[its.format] else undivided(sources)
    if split not in sources:
        problem = f"{config.file} has no {split} split"
        raise CorpusError(f"gold {config.name}", problem, f"it has {', '.join(sources)}")
    source = sources[split]
    if words.rows is not None:  # the annotation covers the whole source
        source = source._replace(sentences=_at(words.rows, source.sentences))
        source = source._replace(sentences=_with_same_words(source, words))
    evidence = SchemeEvidence(its.scheme, dataset.invalid)
    read = read_whole(source, evidence)
    scheme = evidence.scheme("write the whole annotation in one scheme")
    gold = replace(words, name=config.name, **annotation(read, scheme, dataset, evidence.first_invalid(scheme), source))
    return gold if read.words == words.words else _aligned(gold, words, read, source)


def _aligned(gold: Corpus, words: Corpus, read: ArrowCache, source: Source) -> Corpus:
    """A gold with other words, on those of `words`. Raises CorpusError where it annotates another text."""
    try:
        found = align_annotation(words.words, words.documents, read.words, gold.tags)
    except ValueError as error:
        remedy = f"a gold annotates the text of {words.name}'s {words.split} split"
        raise CorpusError(source.name, f"{error} of {words.name}", remedy) from error
    if found.words == words.words:  # its words are others, but its entities fit
        return replace(gold, tags=found.tags)
    return replace(gold, **found._asdict())


def as_dataset(config: GoldConfig, dataset: DatasetConfig, split: str) -> DatasetConfig:
    """The file of an additional annotation of a split as a data set of its own."""
    kind = config.format or dataset.format
    base = dataset if kind == dataset.format else DatasetConfig.model_construct(name=dataset.name, format=kind)
    where = FIELDS_OF[kind][0]
    return base.model_copy(
        update={
            where: {split: config.file} if where == "files" else config.file,
            "columns": config.columns or base.columns,
            "invalid": dataset.invalid,
            "scheme": config.scheme or ("io" if dataset.scheme == "io" else "auto"),
            "config": None,
            "revision": None,
            "split": None,
        }
    )


def _at(rows: Sequence[int], sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    """The sentences at these ascending positions."""
    wanted = iter(rows)
    following = next(wanted, None)
    for number, sentence in enumerate(sentences):
        if number == following:
            yield sentence
            following = next(wanted, None)


def _with_same_words(source: Source, corpus: Corpus) -> Iterator[Sentence]:
    """The sentences of a gold. Raises CorpusError if its words differ from those of `corpus`."""
    remedy = f"a gold of a divided source has the very words of {corpus.name}'s {corpus.split} split"
    words = iter(corpus.words)
    count = 0
    for theirs in source.sentences:
        ours = next(words, theirs.words)
        if theirs.words != ours:
            word = _first_difference(theirs.words, ours)
            there, here = (repr(s[word]) if word < len(s) else "the end of the sentence" for s in (theirs.words, ours))
            problem = f"found {there}, but {corpus.name} has {here} (sentence {count}, word {word})"
            raise CorpusError(source.place(theirs.at, min(word, len(theirs.words) - 1)), problem, remedy)
        count += 1
        yield theirs
    if count != len(corpus.words):
        problem = f"it has {count} sentences, {corpus.name} has {len(corpus.words)}"
        raise CorpusError(source.name, problem, remedy)


def _first_difference(theirs: list[str], ours: list[str]) -> int:
    shorter = min(len(theirs), len(ours))
    return next((i for i in range(shorter) if theirs[i] != ours[i]), shorter)
