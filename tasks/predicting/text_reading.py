"""Text to be tagged, sentence by sentence: a sentence a line, or the words of a CoNLL file.

A small rule-based splitter divides a text into words and knows the position of each.

A tagger knows words as its corpus has them; these rules give those of most English and European corpora:

1. White space parts words.
2. Punctuation and symbols before and after a word are words of their own, one character each, but for the point of an
   abbreviation that has several or a single letter (`U.N.`, `J.`), the sign of a number (`-5`, `+3`), and a leading
   `#` or `@` of a name.
3. A final `'s` or `’s` is a word of its own (`Germany 's`).
4. Within a word nothing is parted: `Anglo-Dutch`, `10,000`, `AT&T`, `5.3`, `O'Brien`, `it's` but for rule 3.

Languages without blanks between words are not split: give them as CoNLL text, or with blanks.
"""

import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple
from unicodedata import category

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.data.conll import is_numbered, read_words, words_column
from nerbench.tasks.data.tag_schemes import split_tag
from nerbench.tasks.data.text_files import read_lines

_CHUNK = re.compile(r"\S+")
_ABBREVIATION = re.compile(r"(?:[^\W\d_]\.)+")
_POSSESSIVE = re.compile(r"(?<=\w)['’][sS]")
_LEADING_SIGN = re.compile(r"[+\-−]\d|[#@]\w")


class Word(NamedTuple):
    """A word and where it stands."""

    text: str
    start: int
    """0-based position of its first character in the text, in Unicode characters."""
    end: int
    """The position after its last one."""


def split_words(text: str) -> list[Word]:
    """The words of a text, by the rules above; every character but white space belongs to exactly one."""
    return [word for chunk in _CHUNK.finditer(text) for word in _split(text, chunk.start(), chunk.end())]


def split_blanks(text: str) -> list[Word]:
    """What white space parts, and nothing else: for text that somebody has split already."""
    return [Word(chunk[0], chunk.start(), chunk.end()) for chunk in _CHUNK.finditer(text)]


def joined(words: list[str]) -> tuple[str, list[Word]]:
    """Words that come without a text, with blanks between them, and where they stand in it."""
    placed, start = [], 0
    for word in words:
        placed.append(Word(word, start, start + len(word)))
        start += len(word) + 1
    return " ".join(words), placed


def _split(text: str, start: int, end: int) -> Iterator[Word]:
    while start < end and not _is_inner(text[start]) and not _LEADING_SIGN.match(text, start, end):
        yield Word(text[start], start, start + 1)
        start += 1
    last = end
    while last > start and not _is_inner(text[last - 1]) and not _ABBREVIATION.fullmatch(text, start, last):
        last -= 1
    core = last - 2 if _POSSESSIVE.fullmatch(text, last - 2, last) and last - 2 > start else last
    for first, after in ((start, core), (core, last)):
        if first < after:
            yield Word(text[first:after], first, after)
    for position in range(last, end):
        yield Word(text[position], position, position + 1)


def _is_inner(character: str) -> bool:
    """Letters, digits, and marks such as vowel signs, which belong to the letter before them."""
    return character == "_" or category(character)[0] in "LNM"


Format = Literal["text", "words", "conll"]
"""`text`: split into words by our rules; `words`: at blanks; `conll`: a word a line, as in a corpus."""
STANDARD_INPUT = "-"
_CONLL_ENDINGS = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes", ".tsv")
_LOOKED_AT = 200
"""Lines that tell a CoNLL file from a text."""
_COLUMNS = re.compile(r"[ \t]+")
_MARKER = "-DOCSTART-"


class Sentence(NamedTuple):
    """A sentence to tag: at least one word."""

    text: str
    """As written; of a CoNLL file, its words with blanks between."""
    words: list[Word]
    line: int
    """1-based line of its first word."""


class Opened(NamedTuple):
    """A source of sentences, read as they are asked for."""

    name: str
    """As the user named it."""
    format: Format
    sentences: Iterator[Sentence]
    n_bytes: int | None
    """Of the file; None if that is not known before its end."""
    column: int = 0
    """Of CoNLL text, the 0-based column that the words are read from."""


def open_source(path: str, format: Format | None, encoding: str) -> Opened:
    """The sentences of a file, or of standard input for `-`; without a `format` it is found out.

    A file is CoNLL text where its name ends so, or its first lines all have a tag at their end, or number their words.

    Raises InputError if there is no such file or no word in it; also while it is read, if it is no text, or not
    in the encoding.
    """
    lines = _standard_input(encoding) if path == STANDARD_INPUT else read_lines(path, encoding)
    name = "standard input" if path == STANDARD_INPUT else path
    first = list(islice(lines, _LOOKED_AT))
    format = format or _recognised(path, first)
    n_bytes = Path(path).stat().st_size if path != STANDARD_INPUT and "://" not in path else None
    printable = _printable(chain(first, lines), name)
    read = {"text": text, "words": words}.get(format)
    sentences = read(printable) if read else conll(printable, name)
    if (begin := next(sentences, None)) is None:
        raise InputError(name, "holds no word", "give a text with a sentence a line, or CoNLL text")
    return Opened(name, format, chain([begin], sentences), n_bytes, words_column(first))


def text(lines: Iterable[str]) -> Iterator[Sentence]:
    """A sentence a line, split by our rules; lines without a word are left out."""
    return _of_lines(lines, split_words)


def words(lines: Iterable[str]) -> Iterator[Sentence]:
    """A sentence a line, split at blanks alone."""
    return _of_lines(lines, split_blanks)


def conll(lines: Iterable[str], name: str) -> Iterator[Sentence]:
    """A word a line, as a corpus is read: `nerbench.tasks.data.conll`."""
    for one in read_words(name, lines):
        yield Sentence(*joined(one.words), one.at)


def _of_lines(lines: Iterable[str], split: Callable[[str], list[Word]]) -> Iterator[Sentence]:
    for number, line in enumerate(lines, start=1):
        if found := split(line):
            yield Sentence(line.rstrip("\r"), found, number)


def _recognised(path: str, first: list[str]) -> Format:
    if path.lower().endswith(_CONLL_ENDINGS) or is_numbered(first):
        return "conll"
    columns = [_COLUMNS.split(line.strip(" \t\r")) for line in first if line.strip() and not line.startswith(_MARKER)]
    tagged = [len(of_line) > 1 and split_tag(of_line[-1], "auto") is not None for of_line in columns]
    return "conll" if tagged and all(tagged) else "text"


def _printable(lines: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise InputError(f"{name}:{number}", "holds a NUL byte, so it is not text", "name a text file")
        yield line


def _standard_input(encoding: str) -> Iterator[str]:
    stream = getattr(sys.stdin, "buffer", None)
    lines = sys.stdin if stream is None else io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    try:
        for line in lines:
            yield line.removesuffix("\n")
    except UnicodeDecodeError as error:
        raise CorpusError("standard input", f"is not {encoding} ({error.reason})", "give its --encoding") from error
