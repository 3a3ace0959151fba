"""Writes the findings of an inspection as sentences, the most serious first, and as small tables."""

from collections.abc import Iterator
from typing import Any

from nerbench.tasks.inspection.facts import DatasetFacts, Inspection, Overlap, SplitFacts

FEW = 30
"""Minimum number of entities of a type for a reliable score in a split."""
FEW_FOR_GATE = 3_000
"""With at most this many entities, the default gate fails 22 to 54 % of the runs of two equally good models
(docs/how-to/gate.md)."""
RARE = 0.01
"""A type with a smaller share of the entities is rare."""
LONG = 100
"""Median number of words of a split's sentences above which its file probably lacks boundaries of sentences."""
SHARED = 0.01
"""Minimum share of a split's sentences in an earlier split that is reported."""


def notes(facts: DatasetFacts) -> tuple[str, ...]:
    """The findings about one data set as sentences."""
    return tuple(_notes(facts))


def counted(count: int, what: str) -> str:
    """`1 sentence`, `1,350 sentences`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _notes(facts: DatasetFacts) -> Iterator[str]:
    if facts.contradiction:
        yield f"the tags contradict each other: {facts.contradiction}"
    for split in facts.splits:
        yield from _invalid(split, facts.scheme)
        if split.cut_spans:
            yield f"{split.split}: {counted(split.cut_spans, 'span')} cut a word; extended to the whole word"
        if split.dropped_spans:
            yield f"{split.split}: {counted(split.dropped_spans, 'span')} left out by `flatten`"
    if not facts.types:
        yield "there are no entities"
    for split in facts.splits:
        if split.lengths.median > LONG:
            long = f"the median sentence has {split.lengths.median} words"
            yield f"{split.split}: {long}; check that the file separates sentences, in CoNLL by a blank line"
    yield from _missing_splits(facts)
    for split in facts.splits:
        yield from _labels(split, facts)
    yield from (_shared(one) for one in facts.overlaps if one.sentence_share >= SHARED)
    for split in facts.splits:
        yield from _repeated(split)
        yield from _cut(split)
        yield from (f"{split.split}: {one.what} in {one.words} ({one.example})" for one in split.suspicious_characters)
    if any(split.documents is None for split in facts.splits):
        yield "there are no document boundaries: intervals and tests resample sentences, so intervals are too narrow"
    for split in facts.splits:
        if split.split == "test" and 0 < split.entities <= FEW_FOR_GATE:
            few = f"{split.entities:,} entities are few for a gate with the default margin of half a point"
            yield f"test: {few}; with `gate`, set a wider `margin` and `on_undecided: warn`"


def _invalid(split: SplitFacts, scheme: str) -> Iterator[str]:
    if split.n_invalid:
        first = split.invalid[0]
        where = f"{first.before} → {first.tag} ({first.count} times, first at {first.place})"
        yield f"{split.split}: not valid in {scheme}: {counted(split.n_invalid, 'place')}, most often {where}"


def _missing_splits(facts: DatasetFacts) -> Iterator[str]:
    there = {split.split for split in facts.splits}
    if "train" in there and "validation" not in there:
        hint = "to use a tenth of train, write `split: {train: 90%, validation: 10%}`"
        yield f"there is no validation split, which training needs to choose the best epoch; {hint}"
    if "test" not in there:
        yield "there is no test split; to benchmark on another one, set benchmark.split"


def _labels(split: SplitFacts, facts: DatasetFacts) -> Iterator[str]:
    in_train = {one.label: one.entities for of in facts.splits if of.split == "train" for one in of.labels}
    for label in split.labels:
        if not label.entities:
            yield f"{split.split}: there is no {label.label}"
        elif in_train and not in_train.get(label.label):
            yield f"{split.split}: {label.label} never occurs in train"
        elif split.split == "train" and label.share < RARE:
            yield f"train: {label.label} is rare, {label.entities} of {split.entities} entities"
        elif split.split != "train" and label.entities < FEW:
            yield f"{split.split}: only {label.entities} {label.label}, too few for a reliable score"


def _shared(one: Overlap) -> str:
    share = f"{one.sentence_share:.1%}"
    return f"{one.split}: {counted(one.sentences, 'sentence')} ({share}) also in {one.earlier}, with the same words"


def _repeated(split: SplitFacts) -> Iterator[str]:
    if split.contradictions:
        yield f"{split.split}: {counted(split.contradictions, 'sentence')} repeated with other tags"
    if split.duplicates >= SHARED * split.sentences:
        share = f"{split.duplicates / split.sentences:.1%}"
        yield f"{split.split}: {counted(split.duplicates, 'sentence')} ({share}) repeated within the split"


def _cut(split: SplitFacts) -> Iterator[str]:
    if (tokens := split.tokens) is None:
        return
    for count, what in (
        (tokens.longer_words, f"words longer than the window of {tokens.max_length} tokens, whose first tokens decide"),
        (tokens.vanished_words, "words without tokens, which count as O"),
        (tokens.longer_sentences, "sentences that need several windows"),
        (tokens.unknown_words, f"words with characters that are unknown to the tokenizer of {tokens.tokenizer}"),
    ):
        if count:
            yield f"{split.split}: {what}: {count}"


Rows = list[dict[str, Any]]


def sections(inspection: Inspection) -> dict[str, Rows]:
    """Tables by heading: splits, entity types, and overlaps of splits. They contain no words of the data."""
    found = {
        "Splits": [row for one in inspection.datasets for row in _split_rows(one)],
        "Entities by type": [row for one in inspection.datasets for row in _label_rows(one)],
        "Shared between splits": [row for one in inspection.datasets for row in _overlaps(one)],
    }
    return {heading: rows for heading, rows in found.items() if rows}


def _split_rows(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": one.split,
            "documents": one.documents,
            "sentences": one.sentences,
            "words": one.words,
            "entities": one.entities,
            "median length": one.lengths.median,
            "longest": one.lengths.greatest,
            "duplicates": one.duplicates,
            "invalid tags": one.n_invalid,
        }
        for one in dataset.splits
    ]


def _label_rows(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": split.split,
            "type": one.label,
            "entities": one.entities,
            "share, %": round(100 * one.share, 1),
            "distinct": one.distinct,
            "seen in train": one.seen,
        }
        for split in dataset.splits
        for one in split.labels
    ]


def _overlaps(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": one.split,
            "earlier": one.earlier,
            "sentences": one.sentences,
            "of them, %": round(100 * one.sentence_share, 1),
            "entities": one.entities,
            "of those, %": round(100 * one.entity_share, 1),
        }
        for one in dataset.overlaps
    ]
