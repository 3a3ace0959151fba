"""Renders the page: one HTML file that needs neither network nor server.

Every value in template and style is escaped. Large data is packed (`formats`) and drawn by scripts, which insert it
only as text. A Content-Security-Policy allows two scripts by their hashes and nothing else, so that injected content
can neither run nor send anything.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.tasks.publishing.card_from_results import SLICES
from nerbench.tasks.report import formats
from nerbench.tasks.report.formats import PackedRows, packed, packed_text, script_hash
from nerbench.tasks.report.function_values import MOST, Value
from nerbench.tasks.report.leaderboard import Leaderboard
from nerbench.tasks.report.provenance import Provenance
from nerbench.tasks.report.robustness import Robustness, plain_drops
from nerbench.tasks.report.suspect_list import Ranked
from nerbench.tasks.report.verdict_text import Verdict
from nerbench.tasks.run_identity import utc_now
from nerbench.tasks.scoring.metrics import Row

if TYPE_CHECKING:
    from jinja2 import Environment

ASSETS = Path(__file__).with_name("assets")
BEGINNING = "<!doctype html><!-- nerbench report -->"
"""The first bytes of every report."""
SCRIPTS = (
    "core",
    "theme",
    "tables",
    "charts",
    "quality",
    "confusion_and_calibration",
    "costs",
    "robustness",
    "history",
    "sentences",
    "errors",
    "main",
)
"""Concatenated in this order."""
PLOTLY = "plotly-basic.min.js"
LINES = 8
"""Number of model verdicts shown at once."""
FEW = 12
"""Number of values of functions shown without a click."""


class Packed(NamedTuple):
    """The data that the page unpacks on demand, and its description."""

    details: str
    """`details`, `confusion` and `calibration`, by the position of the entry."""
    costs: str
    history: str
    errors: PackedRows
    flips: PackedRows
    text: bool
    """Whether the corpus's words may be shown."""


class Content(NamedTuple):
    """The content of a page."""

    runs: Sequence[Provenance]
    """Newest first."""
    verdict: Verdict
    board: Leaderboard
    own: Sequence[Row]
    """Values of custom metrics."""
    functions: Sequence[Value]
    """Values of custom benchmark functions."""
    robustness: Robustness
    repairs: Mapping[str, str]
    """Repairs, and what an aligned annotation lacks, by corpus and annotation."""
    digests: Sequence[Mapping[str, str]]
    changes: Sequence[Mapping[str, Any]]
    """Changes of the environment in the history."""
    inspection: Mapping[str, Any] | None
    """Facts about the corpora: by heading, a list of rows (dictionaries with the same keys), each shown as a table."""
    suspects: Sequence[Ranked]
    """The suspect annotations, by annotation."""
    packed: Packed


def prepare() -> None:
    """Do the parts of `render` that need no content: compile the template and compress the library of its charts."""
    _environment().get_template("page.html.jinja")
    _packed_plotly()


def render(content: Content) -> str:
    """The whole page."""
    script, plotly = "\n".join(_asset(f"{name}.js") for name in SCRIPTS), _asset(PLOTLY)
    blocks = {
        "entries": packed([_entry(row) for row in content.board.rows]),
        "changes": packed(content.changes),
        "slices": packed(SLICES),
        **{name: getattr(content.packed, name) for name in ("details", "costs", "history")},
        **{name: getattr(content.packed, name).text for name in ("errors", "flips")},
        **({"robustness": packed(plain_drops(content.robustness))} if content.robustness.drops else {}),
        "plotly": _packed_plotly(),
    }
    page: str = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            beginning=BEGINNING,
            **content._asdict(),
            title=_title(content),
            style=_asset("page.css"),
            script=script,
            policy=_policy(script, plotly),
            blocks=blocks,
            lines=LINES,
            most=MOST,
            few=FEW,
            confidence=_confidence(content.board),
            made=f"{utc_now():%Y-%m-%d %H:%M} UTC",
            version=version("nerbench"),
        )
    )
    return page.lstrip()


def render_key_numbers(board: Leaderboard) -> str:
    """The first table of the page alone, for a notebook."""
    table = _environment().get_template("keys.html.jinja")
    return str(table.render(board=board, confidence=_confidence(board)))


def _confidence(board: Leaderboard) -> str:
    return f"{100 * board.confidence:g} %"


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
    """The data of an entry that scripts need before anything is unpacked."""
    names = ("model", "artifact", "dataset", "split", "gold", "dtype", "role", "on_front", "cost")
    f1 = row.scores.get("F1")
    return {name: getattr(row, name) for name in names} | {"place": row.place, "f1": f1 and f1._asdict()}


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


@cache
def _packed_plotly() -> str:
    return packed_text(_asset(PLOTLY))
