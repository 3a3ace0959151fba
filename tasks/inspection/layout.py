"""Where words and tags stand in a CoNLL file: by what its lines hold."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.sources.schemes import split_tag
from nerbench.tasks.sources.sentences import shortened

_BLANKS = re.compile(r"[ \t]+")
_MARKER = "-DOCSTART-"
_MOST_TYPES = 60
"""Different values that a column of bare types may have."""
_BARE = re.compile(r"[^\W\d_][\w.-]*")


class Layout(NamedTuple):
    """How the lines of a file are read."""

    columns: dict[Literal["words", "tags", "document"], int | str]
    """Only what is not the default."""
    delimiter: Literal["auto", "tab", "space"]
    scheme: Literal["auto", "io"]
    """`io` for bare types, which cannot be recognised by themselves."""
    told: tuple[str, ...]
    """What could have been decided otherwise."""


def layout_of(file: str, lines: Iterable[str]) -> Layout:
    """The layout of a file by its first lines; raises CorpusError where no column holds tags."""
    kept = list(_words(lines))
    if not kept:
        raise CorpusError(file, "holds no word", "name a file with a word and its tag a line")
    delimiter, rows = _split(kept)
    columns = list(zip(*rows, strict=True))
    tags, scheme, told = _tags(file, columns, kept[0])
    words = _words_column(columns, tags)
    if words:
        told.append(f"words are read from column {words} (from 0), beside {shortened(columns[0][0])} in the first")
    last = len(columns) - 1
    found: dict[Literal["words", "tags", "document"], int | str] = {}
    if words:
        found["words"] = words
    if tags != last:
        found["tags"] = tags
    return Layout(found, delimiter, scheme, tuple(told))


def _words(lines: Iterable[str]) -> Iterator[str]:
    """Lines that hold a word; comments stand before a sentence's first."""
    inside = False
    for line in lines:
        text = line.rstrip("\r")
        if not text.strip() or text.startswith(_MARKER):
            inside = False
        elif inside or not text.startswith("# "):
            inside = True
            yield text


def _split(lines: Sequence[str]) -> tuple[Literal["auto", "tab"], list[list[str]]]:
    """The lines in columns, by the delimiter that makes them most alike; of what is left, the commonest width alone."""
    by_blanks = [_BLANKS.split(line.strip(" \t")) for line in lines]
    by_tab = [line.rstrip(" ").split("\t") for line in lines]
    alike = {}
    for rows in (by_blanks, by_tab):
        width, count = Counter(map(len, rows)).most_common(1)[0]
        alike[id(rows)] = (width > 1, count, width)
    better_by_tab = alike[id(by_tab)][:2] > alike[id(by_blanks)][:2]
    chosen = by_tab if better_by_tab else by_blanks
    width = alike[id(chosen)][2]
    return "tab" if better_by_tab else "auto", [row for row in chosen if len(row) == width]


def _tags(file: str, columns: Sequence[Sequence[str]], line: str) -> tuple[int, Literal["auto", "io"], list[str]]:
    values = [set(column) for column in columns]
    holding = [number for number, column in enumerate(values) if len(columns) > 1 and _are_tags(column)]
    if holding:
        chosen = holding[-1]
        others = [f"column {number} ({_types(values[number])})" for number in holding[:-1]]
        told = [f"tags are read from column {chosen} ({_types(values[chosen])}); so could be {' or '.join(others)}"]
        return chosen, "auto", told if others else []
    bare = [number for number, column in enumerate(values) if len(columns) > 1 and _are_bare(column)]
    if bare:
        shown = ", ".join(sorted(values[bare[-1]])[:6])
        told = [
            f"tags are read from column {bare[-1]} as bare types ({shown}): scheme io, neighbours of a type are one"
        ]
        return bare[-1], "io", told
    problem = f"has no column of tags such as B-PER, I-PER and O: {shortened(line)}"
    raise CorpusError(file, problem, "name a file with a word and its tag a line, blank lines between sentences")


def _are_tags(values: set[str]) -> bool:
    tags = [split_tag(value, "auto") for value in values]
    return all(tags) and any(tag.type for tag in tags if tag)


def _are_bare(values: set[str]) -> bool:
    return "O" in values and 1 < len(values) <= _MOST_TYPES and all(_BARE.fullmatch(value) for value in values)


def _types(values: set[str]) -> str:
    types = sorted({tag.type for value in values if (tag := split_tag(value, "auto")) and tag.type})
    return ", ".join(types[:4]) + (", …" if len(types) > 4 else "")


def _words_column(columns: Sequence[Sequence[str]], tags: int) -> int:
    """The first column, but for numbers of words from 0 or 1 on, and for tags that stand first."""
    numbered = len(columns) > 2 and columns[0][0] in ("0", "1") and all(value.isdecimal() for value in columns[0])
    if tags == 0:
        return len(columns) - 1
    return 1 if numbered and tags != 1 else 0
