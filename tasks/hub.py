"""Reads data sets of the Hugging Face Hub, or local folders in its layout, through `datasets`.

Only formats that hold data and nothing else are opened: a data set that needs a script or holds pickles is refused.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from artifacts.errors import CorpusError
from tasks.config import DatasetConfig
from tasks.labels import is_tag
from tasks.sentences import TaggedSentences

SPLITS = ("train", "validation", "test")
_FORMATS = {"parquet", "json", "arrow", "csv"}
# `conllpp` itself is a script, which `datasets` no longer runs; the Hub keeps its Parquet conversion under this name.
_CONVERTED = {"conllpp": ("ZihanWangKi/conllpp", "refs/convert/parquet")}
_MARKER = ["-DOCSTART-"]


def read_hub(config: DatasetConfig) -> dict[str, TaggedSentences]:
    """Those of the splits train, validation and test that the data set has.

    Tags are strings or integers of a ClassLabel. Rows without words are left out; a row whose only word is `-DOCSTART-`
    begins a document.

    Raises:
        CorpusError: the data set cannot be loaded, has none of the splits, lacks a column, or has a row whose tags are
            not one IOB tag a word.
    """
    loaded = _load(config)
    found = {split: loaded[split] for split in SPLITS if split in loaded}
    if not found:
        has = ", ".join(map(str, loaded)) or "none"
        raise CorpusError(
            f"dataset {config.name}", "it has no split train, validation or test", f"its splits are {has}"
        )
    return {split: _read_split(rows, f"{config.path}[{split}]", config) for split, rows in found.items()}


def _load(config: DatasetConfig) -> Any:
    import datasets

    path, revision = str(config.path), config.revision
    if path in _CONVERTED and not Path(path).is_dir():
        path, converted = _CONVERTED[path]
        revision = revision or converted
    try:
        builder = datasets.load_dataset_builder(path, config.config, revision=revision)
        layout = type(builder).__module__.split(".")[-1]
        if layout in _FORMATS:
            builder.download_and_prepare()
            return builder.as_dataset()
    except Exception as error:  # datasets raises whatever the Hub, the network and each file format raise
        reason = str(error).strip() or type(error).__name__
        raise CorpusError(
            f"dataset {config.name}",
            f"{config.path} cannot be loaded ({reason})",
            "check `path`, `config` and `revision`; a script data set needs `revision: refs/convert/parquet`",
        ) from error
    raise CorpusError(f"dataset {config.name}", f"{config.path} is a {layout} data set", "convert it to Parquet")


class _Columns(NamedTuple):
    words: list[list[str] | None]
    tags: list[list[Any] | None]
    names: Sequence[str] | None
    """What the tags' integers mean; None where tags are strings."""


def _read_split(rows: Any, source: str, config: DatasetConfig) -> TaggedSentences:
    columns = _columns(rows, source, config)
    words: list[list[str]] = []
    tags: list[list[str]] = []
    documents: list[int] = []
    places: list[int] = []
    marked, document = False, 0
    for row, sentence, its_tags in _sentences(columns, source):
        if sentence == _MARKER:
            marked = True
            document += bool(documents) and documents[-1] == document
            continue
        words.append(sentence)
        tags.append(its_tags)
        documents.append(document)
        places.append(row)
    if not words:
        raise CorpusError(source, "holds no sentence", "choose a data set with rows in this split")
    return TaggedSentences(
        source=source,
        words=words,
        tags=tags,
        documents=documents if marked else None,
        place=lambda sentence, word: f"{source} row {places[sentence]} word {word}",
    )


def _sentences(columns: _Columns, source: str) -> Iterator[tuple[int, list[str], list[str]]]:
    for row, (words, values) in enumerate(zip(columns.words, columns.tags, strict=True)):
        tags = _names(values or [], columns.names, f"{source} row {row}")
        if len(words or []) != len(tags):
            problem = f"{len(words or [])} words have {len(tags)} tags"
            raise CorpusError(f"{source} row {row}", problem, "one tag a word is needed")
        if words:
            yield row, words, tags


def _names(values: Sequence[Any], names: Sequence[str] | None, at: str) -> list[str]:
    tags = []
    for word, value in enumerate(values):
        known = names is None or (value is not None and 0 <= value < len(names))
        tag = value if names is None else names[value] if known else None
        if not isinstance(tag, str) or not is_tag(tag):
            shown = repr(value if tag is None else tag)
            raise CorpusError(
                f"{at} word {word}",
                f"the tag {shown} is neither O nor B-TYPE nor I-TYPE",
                "name the tag column in `columns.tags`, or convert to IOB2; schemes such as BIOES are not read yet",
            )
        tags.append(tag)
    return tags


def _columns(rows: Any, source: str, config: DatasetConfig) -> _Columns:
    import datasets

    words, tags = config.columns.get("words", "tokens"), config.columns.get("tags", "ner_tags")
    for what, column in (("words", words), ("tags", tags)):
        if column not in rows.column_names:
            has = ", ".join(rows.column_names)
            raise CorpusError(source, f"there is no column {column!r}", f"columns.{what} can be one of {has}")
    kinds = {column: getattr(rows.features[column], "feature", None) for column in (words, tags)}
    if not _is_text(kinds[words]):
        raise CorpusError(source, f"{words} is no column of lists of words", "name another one in columns.words")
    kind = kinds[tags]
    names = kind.names if isinstance(kind, datasets.ClassLabel) else None
    if names is None and not _is_text(kind):
        problem = f"{tags} holds neither lists of strings nor of a ClassLabel's integers"
        raise CorpusError(source, problem, "name another one in columns.tags, or give the data set its label names")
    return _Columns(words=rows[words][:], tags=rows[tags][:], names=names)


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in {"string", "large_string"}
