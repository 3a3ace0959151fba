"""Reads Markdown tables like GitHub: a pipe after a backslash is not a border."""

import re

Table = list[dict[str, str]]


def read_tables(text: str) -> list[Table]:
    """Every table as one dictionary per row. A row with another number of cells than its header is an error."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        header, rule, *rows = [cells(line) for line in block.strip().splitlines()]
        assert all(set(cell) <= set("-:") for cell in rule)
        found.append([dict(zip(header, row, strict=True)) for row in rows])
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
