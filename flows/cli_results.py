"""`nerbench results`: the result tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.options import Json, configured
from flows.terminal import print_json, print_scores, print_table, say

if TYPE_CHECKING:
    from tasks.config import Config

app = typer.Typer(help="Show and export the result tables.", no_args_is_help=True)

RunId = Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="A run; the newest by default.")]
Bundle = Annotated[Path | None, typer.Option("--bundle", metavar="FILE.zip", help="All tables, with environment.")]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="One table, as .parquet or .csv.")]
Table = Annotated[str | None, typer.Option("--table", metavar="NAME", help="Which table goes --to a file.")]
Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Only runs of this day and later.")]
WithoutText = Annotated[bool, typer.Option("--without-text", help="Leave out the words of the corpus.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


@app.command()
@configured()
def show(config: "Config", run: RunId = None, json: Json = False) -> None:
    """Show the scores of a run, with its speed and memory."""
    from tasks.results.summary import leaderboard, newest_run, speed_and_memory

    found = newest_run(config.results, run)
    if json:
        print_json({"run_id": found.run_id, "metrics": found.metrics, "speed": found.speed, "memory": found.memory})
        return
    print_scores(leaderboard(found.metrics))
    if found.speed:
        print_table(speed_and_memory(found.speed, found.memory), title="one sentence at a time")
    say(f"run {found.run_id}")


@app.command()
@configured()
def export(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    *,
    bundle: Bundle = None,
    to: To = None,
    table: Table = None,
    since: Since = None,
    without_text: WithoutText = False,
    force: Force = False,
) -> None:
    """Write tables for someone else: all in one zip, or one as a file; without host names, secrets and folders."""
    from artifacts.errors import InputError
    from tasks.results.export import Selection, export_bundle, export_table

    selection = Selection(since=since, text=not without_text)
    if bundle and not (to or table):
        rows = export_bundle(config.results, bundle, selection, force=force)
    elif to and table and not bundle:
        rows = {table: export_table(config.results, table, to, selection, force=force)}
    else:
        raise InputError("results export", "needs one target", "give --bundle FILE.zip, or --to FILE and --table NAME")
    say(f"{bundle or to}: {', '.join(f'{count} {name}' for name, count in rows.items())} rows")
