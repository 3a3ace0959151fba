"""`nerbench report`: write the results of runs as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import echo, print_json, print_note

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

MOST_LINES = 20
"""Maximum number of models whose verdicts are printed, the worst first."""

Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...", help="Run ids, or dates for the newest run of each day. Default: the newest run."
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write; the name must end in .html.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file, even if it is not a report.")]


@configured()
def report(
    config: "Config",
    runs: Runs = None,
    *,
    output: Output = Path("report.html"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Write an HTML page about runs: verdict, leaderboard, charts, history and errors. It works offline."""
    from nerbench.tasks.report.report import build, check_target, save_report

    check_target(output, force=force)
    found = build(config.results, runs or ())
    save_report(found, output, force=force)
    verdict = found.verdict
    if json:
        lines = [line._asdict() for line in verdict.lines]
        shown = {"status": verdict.status, "headline": verdict.headline, "lines": lines}
        print_json({"report": str(output), "runs": [run.run_id for run in found.runs], "verdict": shown})
        return
    echo(verdict.headline)
    for line in verdict.lines[:MOST_LINES]:
        echo(f"  {line.model} on {line.place}: {line.text}" if line.place else f"  {line.model}: {line.text}")
    if (left := len(verdict.lines) - MOST_LINES) > 0:
        echo(f"  and {left:,} more, which the report shows")
    print_note(f"report: {output}")
