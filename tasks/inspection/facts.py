"""What an inspection finds: plain numbers and texts, for tables, JSON and the report."""

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
        """Of at least one length; percentiles are lengths that occur (the next greater one)."""
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
    """Of the split's entities."""
    distinct: int
    """Different texts."""
    seen: int | None
    """Entities whose very words are an entity of this type in the train split too; None without one, and in it."""


@dataclass(frozen=True, kw_only=True)
class Invalid:
    """Two tags that cannot follow each other in the scheme."""

    before: str
    """`start` before the first word of a sentence."""
    tag: str
    """`end` after the last one."""
    count: int
    place: str
    """Where it is for the first time."""


@dataclass(frozen=True, kw_only=True)
class Suspicious:
    """Characters or bytes that seldom are meant."""

    what: str
    words: int
    """Words with it; of a file 1."""
    example: str
    """A word with what is invisible escaped, or the file."""


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """A split as a tokenizer cuts it."""

    tokenizer: str
    window: int
    """Pieces a window, special tokens included."""
    lengths: Lengths
    """Pieces a sentence, without special tokens."""
    pieces_per_word: float
    longer_sentences: int
    """Sentences that need several windows."""
    longer_words: int
    """Words longer than a whole window: their first pieces decide."""
    vanished_words: int
    """Words that the tokenizer leaves nothing of: always predicted `O`."""
    unknown_words: int
    """Words with a piece that the vocabulary lacks."""


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """One split."""

    split: str
    source: str
    """The file, or whatever it is read from."""
    documents: int | None
    """None without boundaries."""
    sentences: int
    words: int
    distinct_words: int
    entities: int
    lengths: Lengths
    """Words a sentence."""
    without_entity: int
    """Sentences without one."""
    labels: tuple[LabelFacts, ...]
    """By type, sorted."""
    n_invalid: int
    """Neighbouring tags that the scheme does not allow."""
    invalid: tuple[Invalid, ...]
    """The commonest of them."""
    tokenizer: str | None
    """What split texts into words; None where the source has words."""
    cut_spans: int
    """Spans by character offsets that begin or end within a word, or hold none."""
    dropped_spans: int
    """Spans that overlap others, and that `flatten` leaves out."""
    duplicates: int
    """Sentences that stood in the split before."""
    contradictions: int
    """Of those, the ones with other tags than the first time."""
    odd: tuple[Suspicious, ...]
    pieces: TokenFacts | None
    """None where no tokenizer was asked for."""


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """What of one split stands in an earlier one."""

    split: str
    earlier: str
    sentences: int
    """Sentences of `split` with the very words of one of `earlier`."""
    sentence_share: float
    entities: int
    """Entities of `split` whose words and type are those of one of `earlier`."""
    entity_share: float


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """One data set."""

    name: str
    format: str
    division: str | None
    """How one source is divided into splits; None where it is not."""
    scheme: str
    """Declared, recognised, or, where tags contradict each other, that which the fewest contradict."""
    contradiction: str | None
    """Where tags contradict each other's scheme; such a data set cannot be trained or benchmarked on."""
    types: tuple[str, ...]
    splits: tuple[SplitFacts, ...]
    overlaps: tuple[Overlap, ...]
    notes: tuple[str, ...]
    """What to look at, in sentences, the most serious first."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """All data sets of a configuration."""

    datasets: tuple[DatasetFacts, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as lists, dictionaries, texts and numbers."""
        return asdict(self)
