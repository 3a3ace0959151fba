"""Finds the columns of CoNLL text from its first lines, and reports every uncertain decision."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Column
from nerbench.tasks.data.conll import HEADER, NOT_A_WORD, column_splitter, is_numbered, word_lines, words_column
from nerbench.tasks.data.readers import shortened
from nerbench.tasks.data.tag_schemes import split_tag

Delimiter = Literal["auto", "tab", "space", "pipe"]
_MOST_TYPES = 60
"""Maximum number of different values in a column of bare types."""
_BARE = re.compile(r"[^\W\d_][\w.-]*")
_GERMEVAL = [2, 3]
"""The columns of outer and nested entities in GermEval 2014."""


class Layout(NamedTuple):
    """How to read the lines of a file."""

    columns: dict[Column, int | str]
    """Columns that differ from the default."""
    delimiter: Delimiter
    scheme: Literal["auto", "io"]
    """`io` for bare types, which `auto` does not recognise."""
    assumptions: tuple[str, ...]
    """Decisions that may be wrong, as sentences."""
    choices: tuple[str, ...] = ()
    """Columns that may contain the tags, the chosen one first; empty if there is only one."""


def layout_of(file: str, lines: Iterable[str]) -> Layout:
    """The layout of a file with these first lines. Raises CorpusError if no column contains tags."""
    lines = list(lines)
    kept = [line for _, line, _, _ in word_lines(lines)]
    if is_numbered(lines):
        kept = [line for line in kept if not NOT_A_WORD.fullmatch(line.partition("\t")[0])]
    if not kept:
        raise CorpusError(file, "holds no word", "name a file with one word and its tag per line")
    if _is_piped(kept):
        return Layout({}, "pipe", "auto", ())
    delimiter, rows = _split(kept)
    columns = list(zip(*rows, strict=True))
    tags, scheme, assumptions = _tags(file, columns, kept[0])
    named = words_column(lines) if HEADER.match(lines[0]) else 0
    words = named or _words_column(columns, tags)
    if words != named:
        assumptions.append(
            f"words are read from column {words} (counted from 0); column 0 has e.g. {shortened(columns[0][0])}"
        )
    last = len(columns) - 1
    found: dict[Column, int | str] = {}
    if words != named:
        found["words"] = words
    if tags != last:
        found["tags"] = tags
    others = [number for number, column in enumerate(columns) if number != tags and _are_tags({*column})]
    choices = (str(tags), *map(str, others)) if others and scheme == "auto" else ()
    return Layout(found, delimiter, scheme, tuple(assumptions), choices)


def _split(lines: Sequence[str]) -> tuple[Delimiter, list[list[str]]]:
    """The lines in columns: the delimiter with the most lines of one width, and only the lines of that width."""
    by_blanks, by_tab = (list(map(column_splitter(delimiter), lines)) for delimiter in ("auto", "tab"))
    alike = {}
    for rows in (by_blanks, by_tab):
        width, count = Counter(map(len, rows)).most_common(1)[0]
        alike[id(rows)] = (width > 1, count, width)
    better_by_tab = alike[id(by_tab)][:2] > alike[id(by_blanks)][:2]
    chosen = by_tab if better_by_tab else by_blanks
    width = alike[id(chosen)][2]
    return "tab" if better_by_tab else "auto", [row for row in chosen if len(row) == width]


def _is_piped(lines: Sequence[str]) -> bool:
    """Whether all items in all lines are words with tags, such as `Oslo|B-LOC`."""
    items = [item.rpartition("|") for line in lines for item in line.split()]
    return all(word and split_tag(tag, "auto") for word, _, tag in items)


def _tags(file: str, columns: Sequence[Sequence[str]], line: str) -> tuple[int, Literal["auto", "io"], list[str]]:
    values = [set(column) for column in columns]
    holding = [number for number, column in enumerate(values) if len(columns) > 1 and _are_tags(column)]
    if holding:
        chosen = 2 if holding == _GERMEVAL and len(columns) == 4 and _is_counted(columns[0]) else holding[-1]
        others = [f"column {number} ({_types(values[number])})" for number in holding if number != chosen]
        assumptions = [
            f"tags are read from column {chosen} ({_types(values[chosen])}); to read {' or '.join(others)} instead, "
            f"give `columns.tags={min(set(holding) - {chosen}, default=0)}`"
        ]
        return chosen, "auto", assumptions if others else []
    bare = [number for number, column in enumerate(values) if len(columns) > 1 and _are_bare(column)]
    if bare:
        shown = ", ".join(sorted(values[bare[-1]])[:6])
        assumptions = [
            f"tags are read from column {bare[-1]} as bare types ({shown}) with the scheme io: "
            "adjacent words of one type are one entity"
        ]
        return bare[-1], "io", assumptions
    problem = f"has no column of tags such as B-PER, I-PER and O: {shortened(line)}"
    raise CorpusError(file, problem, "name a file with one word and its tag per line, a blank line between sentences")


def _are_tags(values: set[str]) -> bool:
    tags = [split_tag(value, "auto") for value in values]
    return all(tags) and any(tag.type for tag in tags if tag)


def _are_bare(values: set[str]) -> bool:
    return "O" in values and 1 < len(values) <= _MOST_TYPES and all(_BARE.fullmatch(value) for value in values)


def _types(values: set[str]) -> str:
    types = sorted({tag.type for value in values if (tag := split_tag(value, "auto")) and tag.type})
    return ", ".join(types[:4]) + (", …" if len(types) > 4 else "")


def _words_column(columns: Sequence[Sequence[str]], tags: int) -> int:
    """The column of the words: the first one, unless it contains word numbers from 0 or 1, or the tags."""
    if tags == 0:
        return len(columns) - 1
    return 1 if len(columns) > 2 and _is_counted(columns[0]) and tags != 1 else 0


def _is_counted(column: Sequence[str]) -> bool:
    return column[0] in ("0", "1") and all(value.isdecimal() for value in column)
