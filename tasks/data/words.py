"""The words of a text, and where they stand in it.

A tagger knows words as its corpus has them; these rules give those of most English and European corpora:

1. White space parts words.
2. Punctuation and symbols before and after a word are words of their own, one character each, but for the point of an
   abbreviation that has several or a single letter (`U.N.`, `J.`), the sign of a number (`-5`, `+3`), and a leading
   `#` or `@` of a name.
3. A final `'s` or `’s` is a word of its own (`Germany 's`).
4. Within a word nothing is parted: `Anglo-Dutch`, `10,000`, `AT&T`, `5.3`, `O'Brien`, `it's` but for rule 3.

Languages without blanks between words are not split: give them as CoNLL text, or with blanks.

These rules are `rules-1`: they do not change, since scores are comparable only on the same words.
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
