"""What a corpus reader hands over: sentences one at a time, and where they stand."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple


class Sentence(NamedTuple):
    """A sentence as it stands in its source: at least one word, one tag a word."""

    words: list[str]
    tags: list[str]
    """As written, in the source's own scheme."""
    document: Hashable
    """What tells its document from the one before; None in a source without documents, or before its first mark."""
    at: int
    """Line of its first word, or number of its row: what `Source.place` takes."""


class Source(NamedTuple):
    """One split, or a further gold, to be read once and lazily; errors come as reading reaches them."""

    name: str
    """The file, URL, data set or function, as the user named it."""
    sentences: Iterable[Sentence]
    place: Callable[[int, int], str]
    """Where a word stands, for messages: (`Sentence.at`, word) → `data/test.txt:17`."""
    rows: Sequence[int] | None = None
    """Positions of its sentences in the source that was divided, ascending; None for a source read whole."""


def shortened(value: object) -> str:
    """A value for a message, cut to 80 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:79]}…")
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
