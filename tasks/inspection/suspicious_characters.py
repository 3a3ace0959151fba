"""Finds characters that are rarely intended in a word, and bytes that are rarely intended in a file."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from unicodedata import category, is_normalized, name

from nerbench.tasks.data.text_files import open_file
from nerbench.tasks.inspection.facts import Suspicious

_BLOCK = 1 << 16
_MOJIBAKE = re.compile("[ÃÂ][\u0080-¿]|â€|ï»¿")
"""Characters that appear if UTF-8 is read as Latin-1 or Windows-1252."""
_SHOWN = 12


def suspicious_in_words(counts: Mapping[str, int]) -> tuple[Suspicious, ...]:
    """Kinds of suspicious characters in words with their counts, the most frequent kind first."""
    found: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for word, count in counts.items():
        if word.isascii() and word.isprintable():
            continue
        for what in set(_kinds(word)):
            found[what] += count
            examples.setdefault(what, word)
    return tuple(
        Suspicious(what=what, words=n, example=_visible(examples[what])) for what, n in found.most_common(_SHOWN)
    )


def suspicious_bytes(paths: Iterable[str]) -> tuple[Suspicious, ...]:
    """Byte order marks, and Windows line ends in the first block of a file. Both are readable, but best removed."""
    found = []
    for path in paths:
        with closing(open_file(path)) as file:
            block = file.read(_BLOCK)
        if block.startswith(b"\xef\xbb\xbf"):
            found.append(Suspicious(what="byte order mark", words=1, example=path))
        if b"\r\n" in block:
            found.append(Suspicious(what="Windows line ends", words=1, example=path))
    return tuple(found)


def _kinds(word: str) -> Iterator[str]:
    for character in word:
        if category(character) in ("Cc", "Cf", "Co", "Cn") or (character.isspace() or character == "\ufffd"):
            yield f"{name(character, 'control character').lower()} U+{ord(character):04X}"
    if _MOJIBAKE.search(word):
        yield "UTF-8 read in another encoding"
    elif not is_normalized("NFC", word):
        yield "letters and accents apart (not NFC)"


def _visible(word: str) -> str:
    return "".join(c if c.isprintable() and category(c)[0] != "C" else f"\\u{ord(c):04x}" for c in word)[:60]
