"""Inspects every data set of a configuration, for `nerbench inspect-data` and the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.memoized_reads import once
from nerbench.tasks.config import Config, DatasetConfig
from nerbench.tasks.data.arrow_cache import ArrowCache
from nerbench.tasks.data.corpus import Corpus, file_versions, read_sources
from nerbench.tasks.data.readers import Source
from nerbench.tasks.data.tag_schemes import Scheme, SchemeEvidence, read_tags, split_tag
from nerbench.tasks.inspection.contents import Contents, gather, label_facts, overlap
from nerbench.tasks.inspection.facts import DatasetFacts, Inspection, Invalid, Lengths, SplitFacts
from nerbench.tasks.inspection.notes import notes
from nerbench.tasks.inspection.suspicious_characters import suspicious_bytes, suspicious_in_words
from nerbench.tasks.inspection.tag_transitions import SCHEMES, Neighbours, neighbours, violations
from nerbench.tasks.inspection.tokenizer_fit import TokenCounter, Tokenization

_SHOWN = 5
"""Maximum number of kinds of invalid pairs that are listed."""


def inspect(config: Config, tokenization: Tokenization | None = None) -> Inspection:
    """Inspect all data sets of a configuration. Nothing is trained, inferred or written.

    Args:
        tokenization: a tokenizer to count the tokens of sentences and words with.

    Raises CorpusError if a split cannot be read. Tags of contradictory schemes are a finding, not an error.
    """
    return Inspection(datasets=tuple(inspect_dataset(dataset, tokenization) for dataset in config.datasets))


def inspect_dataset(config: DatasetConfig, tokenization: Tokenization | None = None) -> DatasetFacts:
    """Inspect one data set; within `read_once`, unchanged local files once. Raises CorpusError as `inspect`."""
    versions = file_versions(config)
    if tokenization or versions is None:
        return _inspect_dataset(config, tokenization)
    return once("inspections", (config.model_dump_json(), versions), partial(_inspect_dataset, config))


def _inspect_dataset(config: DatasetConfig, tokenization: Tokenization | None = None) -> DatasetFacts:
    sources, cached, evidence = read_sources(config)
    read = {split: _Read(source, cached[split]) for split, source in sources.items()}
    verdict = _scheme(config, evidence, read)
    corpora = {split: _corpus(one, split, config, verdict.scheme) for split, one in read.items()}
    types = tuple(sorted({kind for corpus in corpora.values() for kind in corpus.types}))
    counters = {split: TokenCounter(tokenization=tokenization) if tokenization else None for split in corpora}
    contents = {split: gather(corpus, counters[split]) for split, corpus in corpora.items()}
    splits = tuple(
        SplitFacts(
            **_amounts(corpus, contents[split]),
            **_faults(config, read[split], verdict.invalid[split], contents[split], split),
            source=read[split].source.name,
            labels=label_facts(contents[split], contents.get("train") if split != "train" else None, types),
            tokens=counter.facts() if (counter := counters[split]) else None,
        )
        for split, corpus in corpora.items()
    )
    overlaps = tuple(
        overlap(later, contents[later], earlier, contents[earlier]) for earlier, later in combinations(contents, 2)
    )
    facts = DatasetFacts(
        name=config.name,
        format=config.format,
        division=None if config.split is None else str(config.split),
        scheme=verdict.scheme,
        contradiction=verdict.contradiction,
        types=types,
        splits=splits,
        overlaps=overlaps,
        notes=(),
    )
    return replace(facts, notes=notes(facts))


class _Read(NamedTuple):
    """A source and its content."""

    source: Source
    cached: ArrowCache

    def place(self, word: int) -> str:
        """The place of the word at a position in all sentences."""
        ends = np.cumsum(self.cached.words.lengths)
        sentence = int(np.searchsorted(ends, word, side="right"))
        return self.source.place(
            self.cached.at[sentence], word - int(ends[sentence] - self.cached.words.lengths[sentence])
        )


class _Verdict(NamedTuple):
    """The tag scheme of a data set, and the tags that do not fit it."""

    scheme: Scheme
    contradiction: str | None
    invalid: Mapping[str, list[Neighbours]]
    """The invalid pairs of each split."""


def _scheme(config: DatasetConfig, evidence: SchemeEvidence, read: Mapping[str, _Read]) -> _Verdict:
    pairs = {
        split: neighbours(one.cached.labels, one.cached.codes, one.cached.words.lengths) for split, one in read.items()
    }

    def invalid(scheme: Scheme) -> dict[str, list[Neighbours]]:
        return {split: violations(of_split, scheme, config.scheme) for split, of_split in pairs.items()}

    try:
        scheme = evidence.scheme("correct one of them, or declare the data set's `scheme`")
        return _Verdict(scheme, None, invalid(scheme))
    except CorpusError as error:
        found = {scheme: invalid(scheme) for scheme in SCHEMES if config.scheme in ("auto", scheme)}
        least = min(found, key=lambda one: sum(pair.times for of in found[one].values() for pair in of))
        return _Verdict(least, str(error), found[least])


def _corpus(read: _Read, split: str, config: DatasetConfig, scheme: Scheme) -> Corpus:
    reading = read_tags(
        {label: tag for label in read.cached.labels if (tag := split_tag(label, config.scheme))},
        inside_begins=True,
        label_map=config.label_map,
        ignore_labels=frozenset(config.ignore_labels),
    )
    cached = read.cached
    return Corpus(
        name=config.name, split=split, words=cached.words, tags=cached.tags(reading), documents=cached.documents
    )


def _amounts(corpus: Corpus, own: Contents) -> dict[str, Any]:
    return {
        "split": corpus.split,
        "documents": None if corpus.documents is None else corpus.documents[-1] + 1,
        "sentences": len(corpus.lengths),
        "words": corpus.n_words,
        "distinct_words": len(own.words),
        "entities": own.n_entities,
        "lengths": Lengths.of(corpus.lengths),
        "without_entity": own.without_entity,
    }


def _faults(
    config: DatasetConfig, read: _Read, invalid: Sequence[Neighbours], own: Contents, split: str
) -> dict[str, Any]:
    file = config.file_of(split)
    return {
        "n_invalid": sum(pair.times for pair in invalid),
        "invalid": tuple(_invalid(pair, read) for pair in invalid[:_SHOWN]),
        "tokenizer": read.cached.tokenizer,
        "cut_spans": sum(repairs.cut for repairs in read.cached.repairs.values()),
        "dropped_spans": sum(repairs.dropped for repairs in read.cached.repairs.values()),
        "duplicates": own.duplicates,
        "contradictions": own.contradictions,
        "suspicious_characters": suspicious_bytes([file] if file and config.format != "parquet" else [])
        + suspicious_in_words(own.words),
    }


def _invalid(pair: Neighbours, read: _Read) -> Invalid:
    return Invalid(before=pair.before or "start", tag=pair.tag or "end", count=pair.times, place=read.place(pair.first))
