"""The table of file formats. A file's first bytes determine its format, and its name if they are not sufficient."""

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, Format
from nerbench.tasks.data.csv_files import WORD_COLUMNS
from nerbench.tasks.data.json_files import json_items
from nerbench.tasks.data.records import TextColumns, find_columns
from nerbench.tasks.data.text_files import check_encoding, open_file, read_lines, uncompressed_name

ENDINGS = tuple(".conll .conllu .conllup .iob .iob2 .bio .bioes .bilou .tsv .txt .json .jsonl .csv .parquet".split())
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The beginning of a file."""

    file: str
    block: bytes
    """The first bytes, decompressed; empty for a folder."""

    @property
    def has_ending(self) -> Callable[[str | tuple[str, ...]], bool]:
        """Whether its name, without the suffix of a compressed file, has one of these endings."""
        return uncompressed_name(self.file).lower().endswith

    @cached_property
    def item(self) -> Any:
        """The first JSON value of the file; None if there is none and the file is not named as JSON."""
        if self.block.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"["):
            return None
        try:
            return next((item for _, item in json_items(self.file, "utf-8")), None)
        except CorpusError:
            if self.has_ending((".json", ".jsonl")):
                raise
            return None


class FileFormat(NamedTuple):
    """A file format."""

    format: Format
    says: str
    """The description that `init` prints."""
    matches: Callable[[Sample], bool]


def _is_label_studio(sample: Sample) -> bool:
    item = sample.item
    return (
        isinstance(item, dict) and isinstance(item.get("data"), dict) and bool({"annotations", "completions"} & {*item})
    )


def _is_spacy(sample: Sample) -> bool:
    item = sample.item
    if isinstance(item, list):
        return len(item) == 2 and isinstance(item[1], dict)
    return isinstance(item, dict) and ("paragraphs" in item or {"classes", "annotations"} <= {*item})


def _is_csv(sample: Sample) -> bool:
    header = sample.block.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace").lower()
    names = {name.strip(' "\r') for name in re.split(r"[,;\t]", header)}
    has_words = all(names & {*WORD_COLUMNS[what]} for what in ("words", "tags"))
    return sample.has_ending(".csv") or (has_words and len(names) > 1 and "-docstart-" not in header)


FORMATS = (
    FileFormat("brat", "texts with their annotations beside them", lambda sample: Path(sample.file).is_dir()),
    FileFormat("parquet", "", lambda sample: sample.block.startswith(b"PAR1")),
    FileFormat("label-studio", "tasks with annotated texts", _is_label_studio),
    FileFormat("spacy", "training data of spaCy", _is_spacy),
    FileFormat("json", "", lambda sample: isinstance(sample.item, dict)),
    FileFormat("csv", "a header and a row for each word or text", _is_csv),
    FileFormat("conll", "", lambda sample: True),
)
"""The first format that matches is the format of a file."""


def sample_of(file: str) -> Sample:
    """The beginning of a file or folder. Raises CorpusError if it is empty or has no known format."""
    if Path(file).is_dir():
        return Sample(file, b"")
    with closing(open_file(file)) as opened:
        block = opened.read(_BLOCK)
    if not block.strip():
        raise CorpusError(file, "is empty", "name a file with words and their tags")
    is_text = b"\0" not in block or block.startswith((b"\xff\xfe", b"\xfe\xff"))
    if file.endswith(".spacy"):
        remedy = "write it in a configuration as `format: spacy`, with an interpreter that has spaCy as `python`"
        raise CorpusError(file, "is spaCy's binary format", remedy)
    if not is_text and not block.startswith(b"PAR1"):
        raise CorpusError(file, "is binary, not text", "name CoNLL text, JSON, CSV or Parquet")
    return Sample(file, block)


def format_of(sample: Sample) -> Format:
    """The first format in the table that matches. Raises CorpusError if a file is named as JSON, but is not JSON."""
    kind = next(one.format for one in FORMATS if one.matches(sample))
    if kind == "conll" and (sample.has_ending((".json", ".jsonl"))):
        problem = "does not begin with a JSON object"
        raise CorpusError(sample.file, problem, "write one object per line, with `tokens` and `ner_tags`")
    return kind


def encoding_of(files: Iterable[str], assumptions: list[str]) -> str:
    """UTF-8 if all files are valid; otherwise UTF-16 if a file has its mark, or Windows-1252 with a note."""
    for file in files:
        with closing(open_file(file)) as opened:
            if opened.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                assumptions.append(f"{file} begins with the mark of UTF-16")
                return "utf-16"
        try:
            check_encoding(file, "utf-8")
        except CorpusError as error:
            assumptions.append(
                f"{error.problem} in {file}: read as Windows-1252, which is a guess; look at accented letters"
            )
            return "cp1252"
    return "utf-8"


def tokenizer_of(dataset: DatasetConfig, file: str) -> str | None:
    """The tokenizer for the texts of a data set; None if it has no texts with spans."""
    kind = dataset.format
    if dataset.tokenizer or kind in ("label-studio", "brat"):
        return dataset.tokenizer or "rules-1"
    item: Any = (
        next((item for _, item in json_items(file, dataset.encoding)), None) if kind in ("json", "spacy") else None
    )
    if kind == "spacy":
        return None if isinstance(item, dict) and "paragraphs" in item else "rules-1"
    try:
        there = item if isinstance(item, dict) else _names(file, dataset)
        columns = find_columns(there, file, dataset)
    except CorpusError:  # the reader reports the reason
        return None
    if not isinstance(columns, TextColumns):
        return None
    return "file" if columns.tokens else "rules-1"


def _names(file: str, dataset: DatasetConfig) -> list[str]:
    if dataset.format == "csv":
        header = next(iter(read_lines(file, dataset.encoding)), "")
        return [name.strip('" \r') for name in re.split(r"[,;\t]", header)]
    if dataset.format == "parquet":
        from nerbench.artifacts.tables.parquet_bounds import open_footer

        with closing(open_file(file)) as opened:
            return list(open_footer(opened).schema_arrow.names)
    return []
