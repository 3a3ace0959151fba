"""`nerbench results`: the result tables."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, configured
from flows.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from tasks.config import Config

app = typer.Typer(help="Show the result tables.", no_args_is_help=True)

RunId = Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="A run; the newest by default.")]


@app.callback()
def _results() -> None:
    """Keeps `show` a command of its own while it is the only one."""


@app.command()
@configured
def show(config: "Config", run: RunId = None, json: Json = False) -> None:
    """Show the scores of a run, with its speed and memory."""
    from tasks.summary import leaderboard, newest_run, speed_and_memory

    found = newest_run(config.results, run)
    if json:
        print_json({"run_id": found.run_id, "metrics": found.metrics, "speed": found.speed, "memory": found.memory})
        return
    print_table(leaderboard(found.metrics), title="entity scores in points, strict unless named")
    if found.speed:
        print_table(speed_and_memory(found.speed, found.memory), title="one sentence at a time")
    say(f"run {found.run_id}")
