"""`nerbench report`: what the tables say of a run, as one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.terminal import echo, print_json, say

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="[RUN]...", help="Ids of runs, or dates for the newest one of each; the newest by default."),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the page goes; ends in .html.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is no report, too.")]


@configured()
def report(
    config: "Config",
    runs: Runs = None,
    *,
    output: Output = Path("report.html"),
    force: Force = False,
    json: Json = False,
) -> None:
    """Write a page about runs: verdict, leaderboard, charts, history, errors; it opens from disk, offline."""
    from nerbench.tasks.report.report import build, check_target, save_report

    check_target(output, force=force)
    found = build(config.results, runs or ())
    save_report(found, output, force=force)
    verdict = found.verdict
    if json:
        lines = [line._asdict() for line in verdict.lines]
        told = {"status": verdict.status, "headline": verdict.headline, "lines": lines}
        print_json({"report": str(output), "runs": [run.run_id for run in found.runs], "verdict": told})
        return
    echo(verdict.headline)
    for line in verdict.lines:
        echo(f"  {line.model} on {line.place}: {line.text}" if line.place else f"  {line.model}: {line.text}")
    say(f"report: {output}")
