"""Reads CoNLL text: a word with its columns a line, a blank line after a sentence, `-DOCSTART-` before a document.

Lines of white space alone are blank. A first line `# global.columns = FORM NER` (CoNLL-U Plus) names the columns; in
such a file, lines that begin with `# ` before a sentence's first word are comments.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from artifacts.errors import CorpusError
from tasks.config import DatasetConfig
from tasks.labels import is_tag
from tasks.sentences import TaggedSentences

_HEADER = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
_MARKER = "-DOCSTART-"


def read_conll(path: str, config: DatasetConfig) -> TaggedSentences:
    """The sentences of one file, local or any fsspec URL, by `config`'s columns, delimiter and encoding.

    Raises:
        CorpusError: the file is missing, empty or not in the encoding; a line has another number of columns than the
            first, no word, no tag, or something that is no IOB tag. Names file, line and content.
    """
    lines = _decode(path, _read_bytes(path), config.encoding).removeprefix("\ufeff").split("\n")
    header = _HEADER.match(lines[0])
    reader = _Reader(path=path, config=config, names=header[1].split() if header else None)
    for number, line in enumerate(lines[1:] if header else lines, start=2 if header else 1):
        reader.read_line(number, line)
    return reader.finish()


def _read_bytes(path: str) -> bytes:
    if "://" not in path:
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            problem = getattr(error, "strerror", None) or str(error)
            raise CorpusError(path, problem, "name an existing, readable file") from error
    import fsspec

    try:
        with fsspec.open(path, "rb") as stream:
            content: bytes = stream.read()
            return content
    except Exception as error:  # every file system has exceptions of its own
        raise CorpusError(
            path, f"cannot be read ({type(error).__name__}: {error})", "check the URL and its access"
        ) from error


def _decode(path: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except LookupError as error:
        raise CorpusError("encoding", f"{encoding!r} is not known", "use a name such as utf-8 or latin-1") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorpusError(
            f"{path}:{line}",
            f"the byte 0x{content[error.start]:02x} at offset {error.start} is not {encoding}",
            "declare the file's `encoding`, e.g. latin-1",
        ) from error


@dataclass(kw_only=True)
class _Reader:
    """The state between two lines of a file."""

    path: str
    config: DatasetConfig
    names: list[str] | None
    words: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    """The line of each sentence's first word; a sentence's lines follow each other without a gap."""
    marked: bool = False
    document: int = 0
    open: bool = False
    """Whether the last line was a word, so that the next one continues its sentence."""

    def __post_init__(self) -> None:
        self._split = _splitter(self.config.delimiter)
        self._known: set[str] = set()
        self._width: int | None = None
        self._first = 0
        self._word = self._position("words", 0)
        self._tag = self._position("tags", -1)

    def read_line(self, number: int, line: str) -> None:
        if not line or line.isspace():
            self.open = False
        elif line.startswith(_MARKER):
            self._start_document()
        elif self.open or self.names is None or not line.startswith("# "):
            self._add_word(number, line.rstrip("\r"))

    def finish(self) -> TaggedSentences:
        if not self.words:
            raise CorpusError(self.path, "holds no sentence", "name a file with one word and its tag a line")
        return TaggedSentences(
            source=self.path,
            words=self.words,
            tags=self.tags,
            documents=self.documents if self.marked else None,
            place=lambda sentence, word: f"{self.path}:{self.starts[sentence] + word}",
        )

    def _start_document(self) -> None:
        self.open, self.marked = False, True
        if self.documents and self.documents[-1] == self.document:
            self.document += 1

    def _add_word(self, number: int, line: str) -> None:
        columns = self._split(line)
        if len(columns) != self._width:
            self._check_width(number, line, len(columns))
        word, tag = columns[self._word], columns[self._tag]
        if not word:
            raise self._error(number, line, "has no word", "write one, or leave the line blank to end the sentence")
        if tag not in self._known:
            self._check_tag(number, line, tag)
        if not self.open:
            self.words.append([])
            self.tags.append([])
            self.documents.append(self.document)
            self.starts.append(number)
            self.open = True
        self.words[-1].append(word)
        self.tags[-1].append(tag)

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

    def _check_tag(self, number: int, line: str, tag: str) -> None:
        if not tag:
            raise self._error(number, line, "has no tag", "write O where there is no entity")
        if not is_tag(tag):
            raise self._error(
                number,
                line,
                f"the tag {tag!r} is neither O nor B-TYPE nor I-TYPE",
                "declare the tags' place in `columns`, or convert to IOB2; schemes such as BIOES are not read yet",
            )
        self._known.add(tag)

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
        content = line if len(line) <= 80 else f"{line[:79]}…"
        return CorpusError(f"{self.path}:{number}", f"{problem}: {content!r}", remedy)


def _columns(number: int) -> str:
    return f"{number} column{'s' if number > 1 else ''}"


def _splitter(delimiter: str) -> Callable[[str], list[str]]:
    """Only blanks and tabs part columns: other Unicode spaces are parts of words (`10\u00a0000`)."""
    if delimiter == "tab":
        return lambda line: line.rstrip(" ").split("\t")
    blanks = re.compile(r" +" if delimiter == "space" else r"[ \t]+")
    return lambda line: blanks.split(line.strip(" \t"))
