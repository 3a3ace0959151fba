"""IOB2 tags and entity types, as everything but the readers knows them: `B-PER` begins a `PER`, `I-PER` continues it.

A type is any text, dashes included: `B-LOC-deriv` is a tag of the type `LOC-deriv`.
"""

from collections.abc import Iterable

OUTSIDE = "O"


def type_of(tag: str) -> str | None:
    """The entity type of a tag; None for `O`."""
    return None if tag == OUTSIDE else tag[2:]


def entity_types(tags: Iterable[str]) -> list[str]:
    """The entity types among `tags`, sorted."""
    return sorted({tag[2:] for tag in set(tags) if tag != OUTSIDE})


def tag_vocabulary(types: Iterable[str]) -> list[str]:
    """`['O', 'B-LOC', 'I-LOC', …]`: the tags of `types`, ordered by type; the label order of models trained here."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI")]
