"""Text from data as Markdown that shows it and does nothing else: no markup, no HTML, no table cell of its own."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

_MARKUP = re.compile(
    r"([\\`*_\[\]#!|~$<>&@]|:(?=//)|(?<=www)\.)", re.IGNORECASE
)  # the last two would make links of addresses
_PLAIN = re.compile(r"[A-Za-z0-9@:/.,+=%() -][A-Za-z0-9@:/.,_+=%() -]*")
_HTML = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def line(value: Any) -> str:
    """Any value as one line: what is no printable character, line breaks included, becomes a blank."""
    return " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())


def text(value: Any) -> str:
    """A value as running text, every character of it literal."""
    return _MARKUP.sub(lambda match: _HTML.get(match[1], f"\\{match[1]}"), line(value))


def name(value: Any) -> str:
    """A value as code, if it is made of harmless characters, else as text."""
    flat = line(value)
    return f"`{flat}`" if _PLAIN.fullmatch(flat) else text(flat)


def names(values: Iterable[Any]) -> str:
    """Several names with commas between."""
    return ", ".join(name(value) for value in values)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int) -> str:
    """A table of cells that are Markdown already; columns from `numbers_from` on stand to the right."""
    rule = ["---" if number < numbers_from else "---:" for number in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def whole(value: float | None) -> str:
    """A count with thousands apart; nothing if it is not known."""
    return "" if value is None else f"{value:,.0f}"
