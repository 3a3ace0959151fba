"""`nerbench results`: list runs; show, compact, export and query the result tables."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nerbench.flows.commands.options import Json, Since, configured
from nerbench.flows.terminal import (
    echo,
    print_custom,
    print_json,
    print_leaderboard,
    print_note,
    print_scores,
    print_table,
)

if TYPE_CHECKING:
    from nerbench.tasks.config import Config
    from nerbench.tasks.scoring.metrics import Row

app = typer.Typer(help="List runs; show, compact, export and query the result tables.", no_args_is_help=True)

RunId = Annotated[
    str | None, typer.Option("--run", metavar="RUN_ID", help="The id of the run. Default: the newest complete one.")
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of runs.")]
Labels = Annotated[
    bool,
    typer.Option("--labels", help="Show precision, recall, F1 and its interval for each entity type and average."),
]
Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE.zip", help="Export all tables and the environment to this zip file."),
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help="Export one table to this .parquet or .csv file, or with --format every-eval-ever, a run to this folder.",
    ),
]
Format = Annotated[
    Literal["tables", "every-eval-ever"],
    typer.Option("--format", help="every-eval-ever: a JSON file per model for the data store of Every Eval Ever."),
]
Organization = Annotated[
    str | None,
    typer.Option(
        "--organization",
        metavar="NAME",
        help="With --format every-eval-ever: who evaluated the models and trained those not from the Hub.",
    ),
]
Table = Annotated[str | None, typer.Option("--table", metavar="NAME", help="The table to export with --to.")]
WithoutText = Annotated[bool, typer.Option("--without-text", help="Leave out the words of the corpus.")]
Tables = Annotated[
    list[str] | None, typer.Option("--table", metavar="NAME", help="Compact only this table; repeatable.")
]
Grace = Annotated[
    float,
    typer.Option(
        "--grace",
        metavar="DAYS",
        min=0,
        max=36500,
        help="Keep replaced files for this many days, for readers that still use them.",
    ),
]
Safe = Annotated[
    bool, typer.Option("--safe", help="Put an apostrophe before CSV texts that a spreadsheet would run as formulas.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


@app.command()
@configured()
def show(config: "Config", run: RunId = None, *, labels: Labels = False, json: Json = False) -> None:
    """Show the scores, speed and memory of a run, and what your benchmark functions returned."""
    from nerbench.tasks.results import summary

    found = summary.read_run(config.results, run, () if json else summary.LEADERBOARD_FILTERS)
    if json:
        print_json(found._asdict())
        return
    print_leaderboard(summary.leaderboard(found.metrics))
    if labels:
        echo()
        title = "strict entity scores by type, in points"
        print_scores(summary.scores_by_label(found.metrics), title, optional=("F1 from", "F1 to"))
    if found.speed:
        less = ("dtype", "device", "load s", "weights MB", "p90 ms")
        print_table(summary.speed_and_memory(found.speed, found.memory), title="one sentence at a time", optional=less)
    if found.custom:
        print_custom(found.custom)
    print_note(f"run {found.run_id}")


@app.command()
@configured()
def runs(config: "Config", *, since: Since = None, limit: Limit = 20, json: Json = False) -> None:
    """List the runs, the newest first: start, flow, outcome, duration, inferred and cached models, and what failed."""
    from nerbench.tasks.results.summary import newest_runs

    found = newest_runs(config.results, limit + 1, since)
    if json:
        print_json({"runs": found[:limit]})
        return
    print_table(map(_run, found[:limit]), optional=("commit", "cached", "inferred", "seconds", "flow", "failed"))
    if len(found) > limit:
        print_note(f"the newest {limit} runs; --limit shows more")


def _run(row: "Row") -> "Row":
    failed = [failure.partition(":")[0] for failure in (row["failures"] or "").splitlines()]
    return {
        "started (UTC)": f"{row['started_at']:%Y-%m-%d %H:%M}",
        "run": row["run_id"],
        "flow": row["flow"],
        "outcome": row["outcome"],
        "seconds": row["total_s"],
        "inferred": row["evaluated"],
        "cached": row["cached"],
        "commit": (row["code_commit"] or "")[:8],
        **({"failed": ", ".join(failed)} if failed else {}),
    }


@app.command()
@configured()
def compact(config: "Config", *, table: Tables = None, grace: Grace = 7, json: Json = False) -> None:
    """Merge the small files of each past day into one; a later call deletes the replaced files."""
    from nerbench.artifacts.tables.compaction import compact as compact_tables
    from nerbench.artifacts.tables.schemas import COMPACTABLE

    done = compact_tables(config.results, table or COMPACTABLE, grace=timedelta(days=grace))
    if json:
        print_json({"tables": [one._asdict() for one in done]})
        return
    if changed := [one._asdict() for one in done if one.packed or one.deleted]:
        print_table(changed)
    print_note(f"{sum(one.packed for one in done)} files packed, {sum(one.deleted for one in done)} deleted")


@app.command()
@configured()
def export(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    *,
    bundle: Bundle = None,
    to: To = None,
    table: Table = None,
    format: Format = "tables",
    organization: Organization = None,
    run: RunId = None,
    since: Since = None,
    without_text: WithoutText = False,
    safe: Safe = False,
    force: Force = False,
) -> None:
    """Export all tables to a zip file, one table to a file, or the scores of a run in another format.

    Host names, secrets and folder names are left out.
    """
    from nerbench.artifacts.errors import InputError
    from nerbench.tasks.results.export import Selection, export_bundle, export_table

    if format == "every-eval-ever":
        from nerbench.tasks.publishing.every_eval_ever import export_run

        if not (to and organization) or bundle or table or since or safe or without_text:
            remedy = "give --to FOLDER and --organization NAME, and optionally --run and --force"
            raise InputError("--format every-eval-ever", "exports one run to one folder", remedy)
        print_note(f"models exported to {to}: {export_run(config, to, organization, run, force=force)}")
        return
    if organization or run:
        raise InputError("--organization and --run", "are for --format every-eval-ever", "leave them out, or add it")
    selection = Selection(since=since, text=not without_text)
    if bundle and safe:
        raise InputError("--safe", "applies to CSV files only", "leave it out, or export one table --to FILE.csv")
    if bundle and not (to or table):
        rows = export_bundle(config.results, bundle, selection, force=force)
    elif to and table and not bundle:
        rows = {table: export_table(config.results, table, to, selection, force=force, safe=safe)}
    else:
        raise InputError("results export", "needs one target", "give --bundle FILE.zip, or --to FILE and --table NAME")
    print_note(f"{bundle or to}: {', '.join(f'{count} {name}' for name, count in rows.items())} rows")


@app.command()
@configured()
def sql(config: "Config") -> None:
    """Print SQL that creates views in DuckDB: each table, and the scores of runs as headline, latest and trend.

    Run it with `nerbench results sql > views.sql`, then `.read views.sql` in DuckDB. Print it again after upgrading
    nerbench, and after a table gets its first rows.
    """
    from nerbench.tasks.results.sql import views

    echo(views(config.results))
