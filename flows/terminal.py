"""Output of commands: tables or one JSON object on stdout; everything else on stderr, as much as `-q` and `-v` ask for.

All output goes through `print_json`, `echo`, `print_error` or a `console()`, which escape control characters in labels,
names and texts. A table as wide as the terminal cuts long cells; in a pipe, it has its natural width.
"""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from nerbench.artifacts.errors import reported
from nerbench.artifacts.terminal_escaping import escaped

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


Verbosity = Literal["quiet", "normal", "verbose"]


class _Settings:
    verbosity: Verbosity = "normal"


def set_verbosity(verbosity: Verbosity) -> None:
    """Set the verbosity of this process."""
    _Settings.verbosity = verbosity


def verbosity() -> Verbosity:
    """The verbosity that `-q` and `-v` set."""
    return _Settings.verbosity


def escaping(screen: Console) -> Console:
    """The same console; what it prints from now on is escaped, its own styles and controls are not."""
    screen.push_render_hook(_Escaping())
    return screen


class _Escaping(RenderHook):
    """Escape text after layout; keep the console's own styles and control codes."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """The same, each escaped."""
        return [_Escaped(one) for one in renderables]


class _Escaped:
    def __init__(self, inner: ConsoleRenderable) -> None:
        self.inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else Segment(escaped(segment.text), segment.style)


Row = dict[str, Any]
PIPE_WIDTH = 160
"""Minimum width, in columns, of output that does not go to a terminal."""
_GAP = 2
_WORD = 24
"""Characters after which a long word in a text column may be broken."""


def print_json(data: Any) -> None:
    """Print one JSON object on stdout, with times as ISO 8601. Its `problems` lists everything reported so far."""
    if isinstance(data, dict) and (found := reported()):
        data = data | {"problems": [*data.get("problems", ()), *map(str, found.values())]}
    print(json.dumps(data, default=_plain, allow_nan=False))


def print_table(rows: Iterable[Row], *, title: str | None = None, optional: Sequence[str] = ()) -> None:
    """Print rows as a table, columns in order of appearance; numbers are right-aligned and never truncated.

    `optional` names columns to drop, in this order, if the terminal is too narrow. If the remaining columns do not fit
    either, each row is printed as a block with one line for each of all its columns.
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    screen = console()
    lines = _Lines(rows, names, title)
    if lines.is_plain and lines.width <= screen.width:
        screen.print(lines)
        return
    for dropped in range(len(optional) + 1):
        kept = [name for name in names if name not in optional[:dropped]]
        if len(names) < 3 or _fits(rows, kept, optional, screen.width):
            screen.print(_table(rows, kept, title))
            return
    if title:
        screen.print(title, style="italic", highlight=False, markup=False)
    for row in rows:
        screen.print(_block(row, names))


def print_scores(
    rows: Iterable[Row],
    title: str = "strict entity scores in points",
    optional: Sequence[str] = ("conlleval", "precision", "recall"),
) -> None:
    """Print scores as `print_table` does. If all rows have the same data set or annotation, it moves to the title."""
    rows = list(rows)
    same = {name: rows[0][name] for name in ("dataset", "gold") if len({row[name] for row in rows}) == 1}
    title += f"{', on ' if same else ''}{', '.join(dict.fromkeys(same.values()))}"
    shown = ({name: value for name, value in row.items() if name not in same} for row in rows)
    print_table(shown, title=title, optional=optional)


def print_leaderboard(rows: Sequence[Row]) -> None:
    """Print a leaderboard and, if there are several annotations, the differences between them."""
    from nerbench.tasks.results.summary import gold_differences

    print_scores(rows)
    if differences := gold_differences(rows):
        print_scores(differences, "against a further gold: difference in points")


def print_robustness(robustness: Iterable[Row]) -> None:
    """Print strict F1 on perturbed words and its change from the clean split, in points."""

    def points(share: float | None) -> float | None:
        return None if share is None else round(100 * share, 2)

    rows = [
        {name: row[name] for name in ("model", "dataset", "perturbation")}
        | {"F1": points(row["perturbed"]), "change": points(row["delta"])}
        | {"low": points(row["ci_low"]), "high": points(row["ci_high"]), "p": _short(row["p_adjusted"])}
        for row in robustness
        if row["label"] == "overall"
    ]
    print_table(rows, title="robustness: F1 on perturbed words and its change, in points", optional=("low", "high"))


def _short(number: float | None) -> str | None:
    return None if number is None else f"{number:.2g}"


def print_custom(custom: list[dict[str, Any]]) -> None:
    """Print the values of custom benchmark functions, each with six significant digits."""
    from rich.text import Text

    def number(value: float | None) -> Text | None:
        return None if value is None else Text(f"{value:.6g}", justify="right")

    shown = columns(custom, ("model", "dataset", "gold", "name", "parameters", "value", "unit", "reason"))
    print_table((row | {"value": number(row["value"])} for row in shown), title="custom functions")


def echo(text: str = "") -> None:
    """Print a line on stdout."""
    print(escaped(text))


def print_note(text: str) -> None:
    """Print a line on stderr, unless `-q` is set."""
    if verbosity() != "quiet":
        print_error(text)


def print_error(text: str) -> None:
    """Print an error on stderr, even with `-q`."""
    print(escaped(text), file=sys.stderr)


def ask(question: str, answers: Sequence[str]) -> str | None:
    """The answer that the user chooses on a terminal, by default the first; None if there is no terminal."""
    from rich.prompt import Prompt
    from rich.text import Text

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return Prompt.ask(Text(question), choices=[*answers], default=answers[0], console=escaping(Console(stderr=True)))


def columns(rows: Iterable[Row], names: Sequence[str]) -> list[Row]:
    """Rows with these columns only."""
    return [{name: row.get(name) for name in names} for row in rows]


def console() -> "Console":
    """The console at stdout. If stdout is not a terminal, the width cuts nothing. Colours follow NO_COLOR and TERM."""
    screen = Console()
    return escaping(screen if screen.is_terminal else Console(width=max(screen.width, PIPE_WIDTH)))


class _Lines:
    """A table of single lines that prints what `_table` prints if no cell is wrapped, in a twentieth of the time."""

    def __init__(self, rows: Sequence[Row], names: Sequence[str], title: str | None) -> None:
        from rich.cells import cell_len
        from rich.text import Text

        self.title = title
        self.numeric = [_is_numeric(rows, name) for name in names]
        self.rows: list[list[str | Text]] = [
            [*map(escaped, names)],
            *([_cell_or_text(row.get(name)) for name in names] for row in rows),
        ]
        self.sizes = [[cell_len(str(cell)) for cell in row] for row in self.rows]
        self.widths = [max(column) for column in zip(*self.sizes, strict=True)]
        self.width = sum(self.widths) + _GAP * (len(names) - 1)

    @property
    def is_plain(self) -> bool:
        """Whether there are columns, and every cell is a line in one style."""
        cells = (cell for row in self.rows for cell in row)
        return bool(self.widths) and not any(
            "\n" in str(cell) or "\t" in str(cell) or getattr(cell, "spans", None) for cell in cells
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        if self.title is not None:
            yield from console.render(
                Text(self.title, style="italic"), options.update(width=self.width, justify="left")
            )
        bold = console.get_style("bold")
        for number, (row, sizes) in enumerate(zip(self.rows, self.sizes, strict=True)):
            for column, (cell, size) in enumerate(zip(row, sizes, strict=True)):
                space = " " * (self.widths[column] - size)
                before, after = (space, "") if self.numeric[column] else ("", space)
                style = bold if not number else console.get_style(cell.style) if isinstance(cell, Text) else None
                yield Segment(f"{' ' * _GAP if column else ''}{before}{cell}{after}", style)
            yield Segment.line()


def _cell_or_text(value: Any) -> "str | Text":
    """A cell: a Text keeps its style."""
    from rich.text import Text

    return value if isinstance(value, Text) else escaped(_cell(value))


def _table(rows: Sequence[Row], names: Sequence[str], title: str | None) -> "Table":
    from rich.table import Table
    from rich.text import Text

    heading = None if title is None else Text(title, style="italic")
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        numeric = _is_numeric(rows, name)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(name)) for name in names))
    return table


def _block(row: Row, names: Sequence[str]) -> "Table":
    """One row with one line per column: the first is its heading; empty cells are left out."""
    from rich.table import Table
    from rich.text import Text

    block = Table(box=None, pad_edge=False, show_header=False)
    block.add_column(no_wrap=True)
    block.add_column(overflow="fold")
    first, *others = names
    block.add_row(Text(_text(row.get(first)).plain, style="bold"), "")
    for name in others:
        if text := _text(row.get(name)):
            block.add_row(Text(f"  {name}"), Text(text.plain, style=text.style))
    return block


def _fits(rows: Sequence[Row], names: Sequence[str], whole: Collection[str], width: int) -> bool:
    """Whether the columns fit side by side; columns in `whole` and columns of numbers are never wrapped."""
    widths = [_least_width(rows, name, name in whole or _is_numeric(rows, name)) for name in names]
    return sum(widths) + _GAP * (len(names) - 1) <= width


def _least_width(rows: Sequence[Row], name: str, whole: bool) -> int:
    """The minimum width of a column; lines break between words, or after _WORD characters."""
    from rich.cells import cell_len

    cells = [name, *(_text(row.get(name)).plain for row in rows)]
    if whole:
        return max(map(cell_len, cells))
    return min(_WORD, max((cell_len(word) for cell in cells for word in cell.split()), default=0))


def _is_numeric(rows: Iterable[Row], name: str) -> bool:
    """Whether a column holds numbers, or formatted numbers that are right-aligned."""
    values = [row.get(name) for row in rows]
    return any(isinstance(value, int | float) or getattr(value, "justify", None) == "right" for value in values)


def _text(value: Any) -> "Text":
    """A cell. A Text keeps its style; markup is not interpreted."""
    from rich.text import Text

    cell = _cell_or_text(value)
    return Text(cell) if isinstance(cell, str) else cell


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, date):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
