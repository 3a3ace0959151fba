"""Escapes text from data for Markdown, so that it contains no markup, no HTML and no table cells."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKUP = re.compile(
    r"([\\`*_\[\]#!|~$<>&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE
)  # the last two would turn addresses into links
_PLAIN = re.compile(r"[A-Za-z0-9@:/.,+=%() -][A-Za-z0-9@:/.,_+=%() -]*")
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def line(value: Any) -> str:
    """Any value as one line. Characters that are not printable, such as line breaks, become blanks."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())


def text(value: Any) -> str:
    """A value as text, with every character literal."""
    return _MARKUP.sub(lambda match: _HTML.get(match[1], f"\\{match[1]}"), line(value))


def name(value: Any) -> str:
    """A value as code if its characters are harmless, otherwise as text."""
    flat = line(value)
    return f"`{flat}`" if _PLAIN.fullmatch(flat) else text(flat)


def names(values: Iterable[Any]) -> str:
    """Several names, separated by commas."""
    return ", ".join(name(value) for value in values)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> str:
    """A table of Markdown cells; columns from `numbers_from` on are right-aligned."""
    rule = ["---" if number < numbers_from else "---:" for number in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def whole(value: float | None) -> str:
    """A count with separated thousands; empty if it is unknown."""
    return "" if value is None else f"{value:,.0f}"
