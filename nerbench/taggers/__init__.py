"""Taggers that nerbench does not train: the protocol of an adapter, and adapters of common libraries and services.

An adapter is named in the configuration (`tagger: file.py:Class`) and created in a separate process from `options`, as
`Class(**options)`. Adapters import their own package only, never nerbench.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

Span = tuple[int, int, str, float | None]
"""First word, the word after the last one, entity type, score from 0 to 1 or None."""


class Tagger(Protocol):
    """The protocol of an adapter. The words of every sentence are given; an adapter must not split them differently.

    Attributes that an adapter may have:
        labels (Sequence[str]): all tags, or all entity types, that it can give; others are then an error.
        packages (Sequence[str]): distributions whose versions are recorded.
        versions (Mapping[str, str]): further versions, for example of a model.
        counts (Mapping[str, float]): totals of its work so far; `calls` and `parse_failures` are shown.
        close (Callable[[], None]): called at the end.

    >>> class Capitals:
    ...     def predict(self, sentences):
    ...         for words in sentences:
    ...             yield ["B-PER" if word.istitle() else "O" for word in words]
    >>> list(Capitals().predict([["Anna", "left"]]))
    [['B-PER', 'O']]
    """

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterable[Sequence[str] | Sequence[Span]]:
        """For each sentence, in order: one tag per word (`O`, `B-PER`, …), or the spans of its entities."""
        ...
