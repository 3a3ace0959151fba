"""Reads text to tag: one sentence per line, or the words of a CoNLL file."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.data.conll import column_splitter, is_numbered, read_words, word_lines, words_column
from nerbench.tasks.data.tag_schemes import split_tag
from nerbench.tasks.data.text_files import read_lines
from nerbench.tasks.data.words import Word, joined, split_blanks, split_words

Format = Literal["text", "words", "conll"]
"""`text`: lines are split by the rules `rules-1`; `words`: at blanks; `conll`: one word per line, as in a corpus."""
STANDARD_INPUT = "-"
_CONLL_ENDINGS = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes", ".tsv")
_LOOKED_AT = 200
"""Number of lines that decide between CoNLL and plain text."""


class Sentence(NamedTuple):
    """A sentence to tag: at least one word."""

    text: str
    """The original text; for a CoNLL file, the words joined by blanks."""
    words: list[Word]
    line: int
    """The 1-based line of the first word."""


class Opened(NamedTuple):
    """A source of sentences, which is read lazily."""

    name: str
    """The name that the user gave."""
    format: Format
    sentences: Iterator[Sentence]
    n_bytes: int | None
    """The size of the file; None if it is unknown."""
    column: int = 0
    """The 0-based column of the words in CoNLL text."""


def open_source(path: str, format: Format | None, encoding: str) -> Opened:
    """The sentences of a file, or of standard input for `-`. Recognises the format if it is None.

    A file is CoNLL text if it has such a suffix, if its first lines all end in a tag, or if they number their words.

    Raises InputError if there is no such file or no word in it; during reading, if the file is not text or not in the
    encoding.
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
        raise InputError(name, "holds no word", "give a text with one sentence per line, or CoNLL text")
    return Opened(name, format, chain([begin], sentences), n_bytes, words_column(first))


def text(lines: Iterable[str]) -> Iterator[Sentence]:
    """One sentence per line, split by the rules `rules-1`. Lines without words are left out."""
    return _of_lines(lines, split_words)


def words(lines: Iterable[str]) -> Iterator[Sentence]:
    """One sentence per line, split at blanks only."""
    return _of_lines(lines, split_blanks)


def conll(lines: Iterable[str], name: str) -> Iterator[Sentence]:
    """One word per line, read in the same way as a corpus: see `nerbench.tasks.data.conll`."""
    for one in read_words(name, lines):
        yield Sentence(*joined(one.words), one.at)


def _of_lines(lines: Iterable[str], split: Callable[[str], list[Word]]) -> Iterator[Sentence]:
    for number, line in enumerate(lines, start=1):
        if found := split(line):
            yield Sentence(line.rstrip("\r"), found, number)


def _recognised(path: str, first: list[str]) -> Format:
    if path.lower().endswith(_CONLL_ENDINGS) or is_numbered(first):
        return "conll"
    columns = map(column_splitter("auto"), (line for _, line, _, _ in word_lines(first)))
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
