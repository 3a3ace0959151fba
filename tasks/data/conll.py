"""Reads CoNLL text: one word per line, in columns; a blank line ends a sentence, and `-DOCSTART-` begins a document.

Lines of white space are blank. A first line `# global.columns = FORM NER` (CoNLL-U Plus) names the columns; in such a
file, lines that begin with `# ` before the first word of a sentence are comments. In CoNLL-U and similar formats, the
first column numbers the words of each sentence: by default, words are read from the second column; lines that begin
with `#` before the first word of a sentence are comments; multi-word tokens (`1-2`) and empty nodes (`1.1`) are left
out.

With the delimiter `pipe`, a line is a sentence: `Oslo|B-LOC is|O` or `Oslo|NNP|B-LOC is|VBZ|O`, as in spaCy's `.iob`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Literal

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Column, DatasetConfig
from nerbench.tasks.data.readers import MARKER, Sentence, Source, shortened
from nerbench.tasks.data.text_files import read_lines

Columns = Mapping[Column, int | str]
HEADER = re.compile(r"#\s*global\.columns\s*=\s*(.*)")
NOT_A_WORD = re.compile(r"\d+[-.]\d+")
"""The number of a multi-word token or of an empty node."""
_LOOKED_AT = 200
"""Number of lines that decide whether the words are numbered."""


def read_conll(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file (a path or an fsspec URL), with the columns, delimiter and encoding of `config`.

    Reading raises CorpusError, which names file, line and content: the file is missing or not in the encoding, or a
    line has no word, no tag or another number of columns than the first line.
    """
    lines = read_lines(path, config.encoding)
    if config.delimiter == "pipe":
        return Source(path, _piped(path, lines, config.columns), lambda at, word: f"{path}:{at} word {word}")
    return Source(
        path, _sentences(path, lines, config.columns, config.delimiter), lambda at, word: f"{path}:{at + word}"
    )


def word_lines(lines: Iterable[str], comment: str | None = "# ") -> Iterator[tuple[int, str, bool, int]]:
    """Each line with a word: 1-based number, line, whether it begins a sentence, and number of document markers so far.

    `comment`: the beginning of comments, which are lines before the first word of a sentence; None for no comments.
    """
    inside, documents = False, 0
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            inside = False
        elif line.startswith(MARKER):
            inside, documents = False, documents + 1
        elif inside or comment is None or not line.startswith(comment):
            yield number, line.rstrip("\r"), not inside, documents
            inside = True


def read_words(name: str, lines: Iterable[str]) -> Iterator[Sentence]:
    """Sentences of words without tags: `tags` is empty, and the number of columns may vary.

    Raises CorpusError for a line without a word; it gives `name`, line and content.
    """
    return _sentences(name, lines, {}, "auto", tagged=False)


def words_column(first: Sequence[str]) -> int:
    """The 0-based default column of the words, given the first lines of a file."""
    if first and (header := HEADER.match(first[0])):
        names = header[1].split()
        return names.index("FORM") if "FORM" in names else 0
    return int(is_numbered(first))


def is_numbered(lines: Iterable[str]) -> bool:
    """Whether the first of at least three columns numbers the words of every sentence from 1, as in CoNLL-U."""
    expected, most = 1, 0
    for _, line, begins, _ in word_lines(lines, "#"):
        expected = 1 if begins else expected
        number, *others = line.split("\t")
        if len(others) > 1 and NOT_A_WORD.fullmatch(number):
            continue
        if len(others) < 2 or number != str(expected):
            return False
        most = max(most, expected)
        expected += 1
    return most > 1  # a single `1` may be a word


def column_splitter(delimiter: str) -> Callable[[str], list[str]]:
    """A function that splits a line into columns.

    Only blanks and tabs separate columns: other Unicode spaces belong to words (`10\u00a0000`).
    """
    if delimiter == "tab":
        return lambda line: line.rstrip(" ").split("\t")
    blanks, tabs = (re.compile(r" +"), False) if delimiter == "space" else (re.compile(r"[ \t]+"), True)

    def split(line: str) -> list[str]:
        line = line.strip(" \t")
        # For single blanks, as in nearly all lines, `str.split` takes a third of the time.
        return blanks.split(line) if "  " in line or (tabs and "\t" in line) else line.split(" ")

    return split


def _sentences(
    path: str, lines: Iterable[str], columns: Columns, delimiter: str, *, tagged: bool = True
) -> Iterator[Sentence]:
    rest = iter(lines)
    first = list(islice(rest, _LOOKED_AT))
    header = HEADER.match(first[0]) if first else None
    numbered = not header and is_numbered(first)
    reader = _Reader(
        path=path,
        columns=columns,
        delimiter="tab" if numbered and delimiter == "auto" else delimiter,
        tagged=tagged,
        names=header[1].split() if header else None,
        numbered=numbered,
        default=words_column(first),
    )
    if header:
        first[0] = ""
    for number, line, begins, document in word_lines(chain(first, rest), reader.comment):
        if begins and (sentence := reader.end_sentence(document)):
            yield sentence
        reader.add_word(number, line)
    if sentence := reader.end_sentence():
        yield sentence


def _piped(path: str, lines: Iterable[str], columns: Columns) -> Iterator[Sentence]:
    width = 0
    word, tag = columns.get("words", 0), columns.get("tags", -1)
    for number, line, _, document in word_lines(lines):
        items = line.split()
        width = width or items[0].count("|") + 1
        rows = [item.rsplit("|", max(width - 1, 1)) for item in items]
        wrong = [item for item, row in zip(items, rows, strict=True) if len(row) != width or not all(row)]
        if wrong or not isinstance(word, int) or not isinstance(tag, int):
            problem = f"{shortened(wrong[0] if wrong else line)} is not of the form of the first item, such as word|TAG"
            raise CorpusError(f"{path}:{number}", problem, "correct it, or declare another `delimiter`")
        yield Sentence([row[word] for row in rows], [row[tag] for row in rows], document or None, number)


@dataclass(kw_only=True)
class _Reader:
    """The state between two lines of a file."""

    path: str
    columns: Columns
    delimiter: str
    tagged: bool
    """Whether tags are read as well as words."""
    names: list[str] | None
    """The names of the columns in the header."""
    numbered: bool
    """Whether the first column numbers the words."""
    default: int
    """The column of the words if none is declared."""
    words: list[str] = field(default_factory=list)
    """The words of the current sentence; its lines are consecutive."""
    tags: list[str] = field(default_factory=list)
    start: int = 0
    """The line of the first word of the current sentence."""
    document: int | None = None

    def __post_init__(self) -> None:
        self._split = column_splitter(self.delimiter)
        self._width: int | None = None
        self._first = 0
        self._ids = self.numbered or (self.names or [])[:1] == ["ID"]
        self._word = self._position("words", self.default)
        self._tag = self._position("tags", -1)

    @property
    def comment(self) -> str | None:
        """The beginning of comments; None if the file has no comments."""
        if self._ids:
            return "#"
        return "# " if self.names is not None else None

    def end_sentence(self, document: int = 0) -> Sentence | None:
        """Return the current sentence, if there is one; `document` is the number of markers before the next one."""
        ended = Sentence(self.words, self.tags, self.document, self.start) if self.words else None
        self.words, self.tags, self.document = [], [], document or None
        return ended

    def add_word(self, number: int, line: str) -> None:
        """Add the word of a line to the current sentence."""
        columns = self._split(line)
        if self._ids and NOT_A_WORD.fullmatch(columns[0]):
            return
        if len(columns) != self._width:
            self._check_width(number, line, len(columns))
        word, tag = columns[self._word], columns[self._tag] if self.tagged else None
        if not word:
            raise self._error(number, line, "has no word", "write one, or leave the line blank to end the sentence")
        if tag == "":
            raise self._error(number, line, "has no tag", "write O where there is no entity")
        if not self.words:
            self.start = number
        self.words.append(word)
        if tag is not None:
            self.tags.append(tag)

    def _check_width(self, number: int, line: str, width: int) -> None:
        """Require the number of columns of the first word: if a column were lost, another would be read as the tag."""
        if not self.tagged:
            if width <= self._word:
                raise self._error(number, line, "has no word", "write it in the column that the first line has it in")
            return
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
        column = self.columns.get(what, default)
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
