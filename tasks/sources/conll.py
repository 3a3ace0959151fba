"""Reads CoNLL text: a word with its columns a line, a blank line after a sentence, `-DOCSTART-` before a document.

Lines of white space alone are blank. A first line `# global.columns = FORM NER` (CoNLL-U Plus) names the columns; in
such a file, lines that begin with `# ` before a sentence's first word are comments.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from artifacts.errors import CorpusError
from tasks.config import DatasetConfig
from tasks.sources.sentences import Sentence, Source, shortened
from tasks.sources.textfile import read_lines

_HEADER = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
_MARKER = "-DOCSTART-"


def read_conll(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file, local or any fsspec URL, by `config`'s columns, delimiter and encoding.

    Reading raises CorpusError: the file is missing or not in the encoding; a line has another number of columns than
    the first, no word or no tag. Names file, line and content.
    """
    return Source(path, _sentences(path, config), lambda at, word: f"{path}:{at + word}")


def _sentences(path: str, config: DatasetConfig) -> Iterator[Sentence]:
    lines = enumerate(read_lines(path, config.encoding), start=1)
    number, line = next(lines, (1, ""))
    header = _HEADER.match(line)
    reader = _Reader(path=path, config=config, names=header[1].split() if header else None)
    if not header and (sentence := reader.read_line(number, line)):
        yield sentence
    for number, line in lines:
        if sentence := reader.read_line(number, line):
            yield sentence
    if sentence := reader.end_sentence():
        yield sentence


@dataclass(kw_only=True)
class _Reader:
    """The state between two lines of a file."""

    path: str
    config: DatasetConfig
    names: list[str] | None
    words: list[str] = field(default_factory=list)
    """Those of the sentence so far; its lines follow each other without a gap."""
    tags: list[str] = field(default_factory=list)
    start: int = 0
    """The line of its first word."""
    document: int | None = None

    def __post_init__(self) -> None:
        self._split = _splitter(self.config.delimiter)
        self._width: int | None = None
        self._first = 0
        self._word = self._position("words", 0)
        self._tag = self._position("tags", -1)

    def read_line(self, number: int, line: str) -> Sentence | None:
        """The sentence that this line ends, if it ends one."""
        if not line or line.isspace():
            return self.end_sentence()
        if line.startswith(_MARKER):
            ended = self.end_sentence()
            self.document = (self.document or 0) + 1
            return ended
        if self.words or self.names is None or not line.startswith("# "):
            self._add_word(number, line.rstrip("\r"))
        return None

    def end_sentence(self) -> Sentence | None:
        if not self.words:
            return None
        ended = Sentence(self.words, self.tags, self.document, self.start)
        self.words, self.tags = [], []
        return ended

    def _add_word(self, number: int, line: str) -> None:
        columns = self._split(line)
        if len(columns) != self._width:
            self._check_width(number, line, len(columns))
        word, tag = columns[self._word], columns[self._tag]
        if not word:
            raise self._error(number, line, "has no word", "write one, or leave the line blank to end the sentence")
        if not tag:
            raise self._error(number, line, "has no tag", "write O where there is no entity")
        if not self.words:
            self.start = number
        self.words.append(word)
        self.tags.append(tag)

    def _check_width(self, number: int, line: str, width: int) -> None:
        """The first word fixes the file's number of columns: a lost column would pass another one off as the tag."""
        if self._width is not None:
            problem = f"has {_columns(width)} where line {self._first} has {self._width}"
            raise self._error(number, line, problem, "correct the line, or declare the `delimiter`")
        needed = max(p + 1 if p >= 0 else -p for p in (self._word, self._tag))
        if width < needed or self._word % width == self._tag % width:
            wanted = f"words in column {self._word} and tags in column {self._tag}"
            raise self._error(
                number,
                line,
                f"has {_columns(width)}, no tag beside the word",
                f"{wanted} are read: declare `columns` or `delimiter`",
            )
        self._width, self._first = width, number

    def _position(self, what: Literal["words", "tags"], default: int) -> int:
        column = self.config.columns.get(what, default)
        if isinstance(column, int):
            return column
        if self.names is None:
            raise CorpusError(
                f"{self.path}:1",
                f"there is no `# global.columns =` header that could name the column {column!r}",
                f"give the 0-based position in columns.{what}",
            )
        if column not in self.names:
            raise CorpusError(
                f"{self.path}:1",
                f"the header has no column {column!r}",
                f"columns.{what} can be {', '.join(self.names)}",
            )
        return self.names.index(column)

    def _error(self, number: int, line: str, problem: str, remedy: str) -> CorpusError:
        return CorpusError(f"{self.path}:{number}", f"{problem}: {shortened(line)}", remedy)


def _columns(number: int) -> str:
    return f"{number} column{'s' if number > 1 else ''}"


def _splitter(delimiter: str) -> Callable[[str], list[str]]:
    """Only blanks and tabs part columns: other Unicode spaces are parts of words (`10\u00a0000`)."""
    if delimiter == "tab":
        return lambda line: line.rstrip(" ").split("\t")
    blanks = re.compile(r" +" if delimiter == "space" else r"[ \t]+")
    return lambda line: blanks.split(line.strip(" \t"))
