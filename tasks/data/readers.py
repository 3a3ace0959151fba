"""The result types of corpus readers, and the reader of each format."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from nerbench.tasks.config import DatasetConfig, Format

MARKER = "-DOCSTART-"
"""The word that marks the beginning of a document."""


class Repairs(NamedTuple):
    """Numbers of spans that could not be read as they are."""

    cut: int = 0
    """Spans that began or ended within a word, or contained none."""
    dropped: int = 0
    """Spans that overlapped others and were left out."""

    def __bool__(self) -> bool:
        return any(self)


NO_REPAIRS = Repairs()


class Sentence(NamedTuple):
    """A sentence of a source: at least one word, and one tag per word."""

    words: list[str]
    tags: list[str]
    """The original tags, in the scheme of the source."""
    document: Hashable
    """Identifies the document; None in a source without documents, and before the first document marker."""
    at: int
    """The line of the first word or the number of the row, as `Source.place` expects it."""
    repairs: Repairs = NO_REPAIRS
    """Numbers of spans that were changed or left out to get tags."""
    tokenizer: str | None = None
    """The name of the tokenizer that split the text into words; None if the source has words."""


class Source(NamedTuple):
    """One split or additional gold, which can be read once. Reading is lazy and raises errors when it reaches them."""

    name: str
    """The file, URL, data set or function, as the user named it."""
    sentences: Iterable[Sentence]
    place: Callable[[int, int], str]
    """The place of a word for messages: (`Sentence.at`, word) → `data/test.txt:17`."""
    rows: Sequence[int] | None = None
    """Ascending positions of the sentences in the source that was divided; None if the source is not divided."""


def shortened(value: object) -> str:
    """A value for a message, cut to 80 characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else f"{value[:79]}…")
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


# Names, not imports: each module imports libraries that only its format needs.
FILE_FORMATS: dict[Format, tuple[str, str]] = {
    "conll": ("nerbench.tasks.data.conll", "read_conll"),
    "parquet": ("nerbench.tasks.data.parquet_files", "read_parquet"),
    "json": ("nerbench.tasks.data.json_files", "read_json"),
    "csv": ("nerbench.tasks.data.csv_files", "read_csv"),
    "label-studio": ("nerbench.tasks.data.json_files", "read_json"),
    "spacy": ("nerbench.tasks.data.spacy_files", "read_spacy"),
    "brat": ("nerbench.tasks.data.brat", "read_brat"),
}
_OF_DATASETS: dict[Format, tuple[str, str]] = {
    "hub": ("nerbench.tasks.data.hub_datasets", "read_hub"),
    "datasets": ("nerbench.tasks.data.hub_datasets", "read_saved"),
    "loader": ("nerbench.tasks.data.custom_loader", "read_loader"),
}


def read_splits(config: DatasetConfig) -> Mapping[str, Source]:
    """The splits that the configuration declares or the data set has. A split is read when its sentences are iterated.

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
