"""Splits texts into words, by the rules `rules-1`.

A tagger expects words as in the corpus that it was trained on. These rules match most English and European corpora:

1. White space separates words.
2. Each punctuation mark or symbol before or after a word is a word, except the point of an abbreviation with several
   points or a single letter (`U.N.`, `J.`), the sign of a number (`-5`, `+3`), and a leading `#` or `@` of a name.
3. A final `'s` or `’s` is a word (`Germany 's`).
4. Words are not split elsewhere: `Anglo-Dutch`, `10,000`, `AT&T`, `5.3`, `O'Brien`; `it's` is split by rule 3.

Languages without blanks between words are not split: write them as CoNLL text, or with blanks.

The rules never change, since scores are comparable only on the same words.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from unicodedata import category

_CHUNK = re.compile(r"\S+")
_ABBREVIATION = re.compile(r"(?:[^\W\d_]\.)+")
_POSSESSIVE = re.compile(r"(?<=\w)['’][sS]")
_LEADING_SIGN = re.compile(r"[+\-−]\d|[#@]\w")


class Word(NamedTuple):
    """A word and its position in a text."""

    text: str
    start: int
    """0-based position of its first character in the text, in Unicode characters."""
    end: int
    """The position after its last one."""


def split_words(text: str) -> list[Word]:
    """The words of a text, by the rules above. Every character except white space belongs to exactly one word."""
    return [word for chunk in _CHUNK.finditer(text) for word in _split(text, chunk.start(), chunk.end())]


def split_blanks(text: str) -> list[Word]:
    """The words of a text that has blanks between words and punctuation: it is split at white space only."""
    return [Word(chunk[0], chunk.start(), chunk.end()) for chunk in _CHUNK.finditer(text)]


def joined(words: list[str]) -> tuple[str, list[Word]]:
    """A text of these words with blanks between them, and the words with their positions."""
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
    """Whether a character is a letter, a digit, or a mark such as a vowel sign, which belongs to its letter."""
    return character == "_" or category(character)[0] in "LNM"
