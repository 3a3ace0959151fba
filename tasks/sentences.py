"""What a corpus reader hands over, and its tag scheme: IOB1 or IOB2, recognised and normalised to IOB2.

IOB2 begins every entity with `B-`. IOB1 (CoNLL-2003 as published) begins it with `I-`, and with `B-` only where it
follows another entity of its own type (Tjong Kim Sang & Veenstra 1999).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from artifacts.errors import CorpusError
from tasks.labels import OUTSIDE

Scheme = Literal["iob1", "iob2"]


@dataclass(frozen=True, kw_only=True)
class TaggedSentences:
    """The sentences of one source as they stand there; every sentence has at least one word, every word one tag."""

    source: str
    """The file, URL or data set, as the user named it."""
    words: list[list[str]]
    tags: list[list[str]]
    """Each `O`, `B-TYPE` or `I-TYPE`."""
    documents: list[int] | None
    """The 0-based document of each sentence; None where the source marks none."""
    place: Callable[[int, int], str]
    """Where a word stands, for messages: (sentence, word) → `data/test.txt:17`."""


def recognise_scheme(sources: Iterable[TaggedSentences], *, remedy: str) -> Scheme:
    """The one scheme that all sources follow; IOB2 where there is no entity to tell.

    Raises:
        CorpusError: one line can only be IOB1 and another only IOB2; both are named, followed by `remedy`.
    """
    evidence: dict[Scheme, str] = {}
    for source in sources:
        evidence = _evidence(source) | evidence
    if len(evidence) == 2:
        raise CorpusError(
            evidence["iob1"],
            f"an entity begins with I- as in IOB1, but at {evidence['iob2']} one begins with B- as in IOB2",
            remedy,
        )
    return "iob1" if "iob1" in evidence else "iob2"


def to_iob2(tags: Iterable[list[str]]) -> list[list[str]]:
    """IOB1 sentences in IOB2: an `I-` that continues no entity of its type becomes `B-`."""
    return [_begin_with_b(sentence) for sentence in tags]


def _evidence(source: TaggedSentences) -> dict[Scheme, str]:
    """The first place that only one scheme allows, for each scheme."""
    found: dict[Scheme, str] = {}
    for number, sentence in enumerate(source.tags):
        previous = ""
        for word, tag in enumerate(sentence):
            kind = "" if tag == OUTSIDE else tag[2:]
            if kind and kind != previous:
                scheme: Scheme = "iob1" if tag[0] == "I" else "iob2"
                if scheme not in found:
                    found[scheme] = source.place(number, word)
            previous = kind
        if len(found) == 2:
            break
    return found


def _begin_with_b(tags: list[str]) -> list[str]:
    before = [OUTSIDE, *tags]
    return [
        f"B-{tag[2:]}" if tag[0] == "I" and tag[2:] != previous[2:] else tag
        for previous, tag in zip(before, tags, strict=False)
    ]
