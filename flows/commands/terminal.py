"""What commands print: tables on stdout for people, one JSON object for machines; everything else goes to stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

Row = dict[str, Any]


def print_json(data: Any) -> None:
    """One JSON object on stdout; times as ISO 8601."""
    print(json.dumps(data, default=_plain, allow_nan=False))


def print_table(rows: Iterable[Row], *, title: str | None = None) -> None:
    """Rows as a table, columns in order of appearance; numbers to the right."""
    from rich.console import Console
    from rich.table import Table

    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        numeric = any(isinstance(row.get(name), int | float) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 160))  # a pipe has no width of its own to be cut at
    console.print(table)


def print_scores(rows: Iterable[Row], title: str = "strict entity scores in points") -> None:
    """A leaderboard; data set and annotation move to the title where they are the same for all, to spare the width."""
    rows = list(rows)
    same = {name: rows[0][name] for name in ("dataset", "gold") if len({row[name] for row in rows}) == 1}
    title += f"{', on ' if same else ''}{', '.join(dict.fromkeys(same.values()))}"
    print_table(({name: value for name, value in row.items() if name not in same} for row in rows), title=title)


def print_leaderboard(rows: Sequence[Row]) -> None:
    """A leaderboard, and below it what each number differs by where there are several annotations."""
    from tasks.results.summary import gold_differences

    print_scores(rows)
    if differences := gold_differences(rows):
        print_scores(differences, "against a further gold: difference in points")


def say(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    print(text, file=sys.stderr)


def columns(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    """Rows with these columns only."""
    return [{name: row.get(name) for name in names} for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
