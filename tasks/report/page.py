"""The page: one HTML file that needs nothing else, neither network nor a server.

Template and style are filled in with every value escaped; what is large is packed (`packing`) and drawn by scripts
that put text into the page as text alone. A Content-Security-Policy names the two scripts by their hashes and allows
nothing else, so that even what slips through runs nothing and reaches nobody.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.tasks.publishing.card_scores import SLICES
from nerbench.tasks.report import formats
from nerbench.tasks.report.formats import PackedRows, packed, packed_text, script_hash
from nerbench.tasks.report.functions import MOST, Value
from nerbench.tasks.report.leaderboard import Leaderboard
from nerbench.tasks.report.provenance import Provenance
from nerbench.tasks.report.verdicts import Verdict
from nerbench.tasks.runs import utc_now
from nerbench.tasks.scoring.metrics import Row

if TYPE_CHECKING:
    from jinja2 import Environment

ASSETS = Path(__file__).with_name("assets")
BEGINNING = "<!doctype html><!-- nerbench report -->"
"""What every report begins with."""
STYLES = ("base", "tables", "parts")
SCRIPTS = (
    "core",
    "theme",
    "tables",
    "charts",
    "quality",
    "analyses",
    "costs",
    "history",
    "sentences",
    "errors",
    "main",
)
"""In this order."""
PLOTLY = "plotly-basic.min.js"
LINES = 8
"""Verdicts of models that are shown at once."""
FEW = 12
"""Values of functions that are shown without being asked for."""


class Packed(NamedTuple):
    """What the page unpacks when it is looked at, and what is said of it before."""

    details: str
    """`details`, `confusion` and `calibration`, by the position of the entry."""
    costs: str
    history: str
    errors: PackedRows
    flips: PackedRows
    text: bool
    """Whether the corpus's words may be shown."""


class Content(NamedTuple):
    """Everything that a page says."""

    runs: Sequence[Provenance]
    """The newest first."""
    verdict: Verdict
    board: Leaderboard
    own: Sequence[Row]
    """Numbers of a user's own metrics."""
    functions: Sequence[Value]
    """What a user's own functions gave."""
    repairs: Mapping[str, str]
    """By corpus and annotation, how many of its tags were repaired."""
    digests: Sequence[Mapping[str, str]]
    changes: Sequence[Mapping[str, Any]]
    """Of the environment, over the history."""
    inspection: Mapping[str, Any] | None
    """Of the corpora: by heading, a list of rows (dictionaries with the same keys), each shown as a table."""
    packed: Packed


def render(content: Content) -> str:
    """The whole page."""
    script, plotly = _joined(SCRIPTS, "js"), _asset(PLOTLY)
    blocks = {
        "entries": packed([_entry(row) for row in content.board.rows]),
        "changes": packed(content.changes),
        "slices": packed(SLICES),
        **{name: getattr(content.packed, name) for name in ("details", "costs", "history")},
        **{name: getattr(content.packed, name).text for name in ("errors", "flips")},
        "plotly": _packed_plotly(),
    }
    page: str = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            beginning=BEGINNING,
            **content._asdict(),
            title=_title(content),
            style=_joined(STYLES, "css"),
            script=script,
            policy=_policy(script, plotly),
            blocks=blocks,
            lines=LINES,
            most=MOST,
            few=FEW,
            confidence=f"{100 * content.board.confidence:g} %",
            made=f"{utc_now():%Y-%m-%d %H:%M} UTC",
            version=version("nerbench"),
        )
    )
    return page.lstrip()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= formats.FILTERS
    return environment


def _title(content: Content) -> str:
    run = content.runs[0]
    more = f" and {len(content.runs) - 1} more" if len(content.runs) > 1 else ""
    return f"{run.started_at}{more}"


def _policy(*scripts: str) -> str:
    allowed = " ".join(map(script_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _entry(row: Any) -> dict[str, Any]:
    """What the scripts know of an entry before anything is unpacked."""
    names = ("model", "artifact", "dataset", "split", "gold", "dtype", "role", "on_front", "cost")
    f1 = row.scores.get("F1")
    return {name: getattr(row, name) for name in names} | {"place": row.place, "f1": f1 and f1._asdict()}


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _joined(names: Sequence[str], ending: str) -> str:
    return "\n".join(_asset(f"{name}.{ending}") for name in names)


@cache
def _packed_plotly() -> str:
    return packed_text(_asset(PLOTLY))
