"""What a corpus reader returns, and which reader reads which format."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from nerbench.tasks.config import DatasetConfig, Format

MARKER = "-DOCSTART-"
"""The word that begins a document."""


class Repairs(NamedTuple):
    """Numbers of spans."""

    cut: int = 0
    """That began or ended within a word."""
    dropped: int = 0
    """That overlapped others, and were not kept."""

    def __bool__(self) -> bool:
        return any(self)


NO_REPAIRS = Repairs()


class Sentence(NamedTuple):
    """A sentence as it stands in its source: at least one word, one tag a word."""

    words: list[str]
    tags: list[str]
    """As written, in the source's own scheme."""
    document: Hashable
    """What tells its document from the one before; None in a source without documents, or before its first mark."""
    at: int
    """Line of its first word, or number of its row: what `Source.place` takes."""
    repairs: Repairs = NO_REPAIRS
    """What was changed to read spans by character offsets as tags."""
    tokenizer: str | None = None
    """What split the text into words: its name; None for words that the source has as such."""


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


# Named, not imported: each brings libraries that only its own format needs.
FILE_FORMATS: dict[Format, tuple[str, str]] = {
    "conll": ("nerbench.tasks.data.conll", "read_conll"),
    "parquet": ("nerbench.tasks.data.parquet_files", "read_parquet"),
    "json": ("nerbench.tasks.data.json_files", "read_json"),
    "csv": ("nerbench.tasks.data.csv_files", "read_csv"),
    "label-studio": ("nerbench.tasks.data.json_files", "read_json"),
    "spacy": ("nerbench.tasks.data.json_files", "read_json"),
    "brat": ("nerbench.tasks.data.brat", "read_brat"),
}
_OF_DATASETS: dict[Format, tuple[str, str]] = {
    "hub": ("nerbench.tasks.data.hub_datasets", "read_hub"),
    "datasets": ("nerbench.tasks.data.hub_datasets", "read_saved"),
    "loader": ("nerbench.tasks.data.custom_loader", "read_loader"),
}


def read_splits(config: DatasetConfig) -> Mapping[str, Source]:
    """The splits that are declared, or that the data set has; each is read when its sentences are asked for.

    Raises:
        CorpusError: the data set cannot be loaded.
    """
    if config.format in _OF_DATASETS:
        sources: Mapping[str, Source] = _function(*_OF_DATASETS[config.format])(config)
        return sources
    read = _function(*FILE_FORMATS[config.format])
    return {split: read(path, config) for split, path in config.files.items()}


def _function(module: str, name: str) -> Any:
    return getattr(import_module(module), name)
