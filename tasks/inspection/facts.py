"""The results of an inspection as plain numbers and texts, for tables, JSON and the report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """The distribution of lengths."""

    least: int
    median: int
    p90: int
    p99: int
    greatest: int
    mean: float

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray) -> "Lengths":
        """The distribution of at least one length. A percentile is the next greater length that occurs."""
        values = np.asarray(lengths)
        at = [int(np.percentile(values, q, method="higher")) for q in (50, 90, 99)]
        least, greatest = int(values.min()), int(values.max())
        mean = round(float(values.mean()), 2)
        return cls(least=least, median=at[0], p90=at[1], p99=at[2], greatest=greatest, mean=mean)


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """Entities of one type in one split."""

    label: str
    entities: int
    words: int
    share: float
    """Share of the entities in the split."""
    distinct: int
    """Number of different texts."""
    seen: int | None
    """Entities with the same words and type as an entity of the train split; None for or without a train split."""


@dataclass(frozen=True, kw_only=True)
class Invalid:
    """Two tags that cannot follow each other in the scheme."""

    before: str
    """`start` for the first word of a sentence."""
    tag: str
    """`end` for the last word of a sentence."""
    count: int
    place: str
    """The place of the first occurrence."""


@dataclass(frozen=True, kw_only=True)
class Suspicious:
    """Characters or bytes that are rarely intended."""

    what: str
    words: int
    """Number of words that contain it; 1 for a file."""
    example: str
    """A word, with invisible characters escaped, or the file."""


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """The tokens of a split for one tokenizer."""

    tokenizer: str
    max_length: int
    """Maximum number of tokens in a context window, including special tokens."""
    lengths: Lengths
    """Tokens per sentence, without special tokens."""
    tokens_per_word: float
    longer_sentences: int
    """Sentences that need several context windows."""
    longer_words: int
    """Words longer than a context window, whose first tokens decide."""
    vanished_words: int
    """Words without tokens, which are always predicted as `O`."""
    unknown_words: int
    """Words with a token that is not in the vocabulary."""


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """The facts of one split."""

    split: str
    source: str
    """The file, data set or function that it is read from."""
    documents: int | None
    """None if the source has no document boundaries."""
    sentences: int
    words: int
    distinct_words: int
    entities: int
    lengths: Lengths
    """Words per sentence."""
    without_entity: int
    """Number of sentences without an entity."""
    labels: tuple[LabelFacts, ...]
    """The facts of each type, sorted by type."""
    n_invalid: int
    """Number of pairs of adjacent tags that the scheme does not allow."""
    invalid: tuple[Invalid, ...]
    """The most frequent of these pairs."""
    tokenizer: str | None
    """The tokenizer that split texts into words; None if the source has words."""
    cut_spans: int
    """Number of spans by character offsets that begin or end within a word, or contain none."""
    dropped_spans: int
    """Number of spans that overlap others and are left out by `flatten`."""
    duplicates: int
    """Number of sentences whose words occurred earlier in the split."""
    contradictions: int
    """Number of these sentences with other tags than at the first occurrence."""
    suspicious_characters: tuple[Suspicious, ...]
    tokens: TokenFacts | None
    """None if no tokenizer is given."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """The sentences and entities of one split that occur in an earlier split."""

    split: str
    earlier: str
    sentences: int
    """Number of sentences of `split` with the same words as a sentence of `earlier`."""
    sentence_share: float
    entities: int
    """Number of entities of `split` with the same words and type as an entity of `earlier`."""
    entity_share: float


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """The facts of one data set."""

    name: str
    format: str
    division: str | None
    """The division of one source into splits; None if there is none."""
    scheme: str
    """The declared or recognised scheme; if tags contradict each other, the scheme with the fewest contradictions."""
    contradiction: str | None
    """The places of two tags that belong to different schemes; training and benchmarks refuse such a data set."""
    types: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    overlaps: tuple[Overlap, ...]
    notes: tuple[str, ...]
    """The problems as sentences, the most serious first."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The facts of all data sets of a configuration."""

    datasets: tuple[DatasetFacts, ...]

    def as_dict(self) -> dict[str, Any]:
        """The facts as lists, dictionaries, texts and numbers."""
        return asdict(self)
