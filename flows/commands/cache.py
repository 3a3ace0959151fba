"""`nerbench cache`: list and prune the caches."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.artifacts.errors import InputError
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import print_json, print_note, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nerbench.artifacts.cache_pruning import Entry
    from nerbench.tasks.config import Config

app = typer.Typer(
    help="List and prune the caches: local copies of models, tokenized corpora, predictions and counts.",
    no_args_is_help=True,
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")]


@app.command()
@configured()
def ls(config: "Config", json: Json = False) -> None:
    """List cache entries, least recently used first."""
    from nerbench.artifacts.cache_pruning import count, find_caches

    entries = sorted((entry for cache in find_caches(config.results) for entry in cache.entries), key=lambda e: e.used)
    _print(entries, json)
    if not json:
        print_note(count(entries))


@app.command()
@configured()
def prune(config: "Config", *, dry_run: DryRun = False, json: Json = False) -> None:
    """Remove entries that exceed `cache.max_gb` or `cache.max_days`, least recently used first; keep entries in use."""
    from nerbench.artifacts import cache_pruning

    if config.cache.limits == cache_pruning.Limits(None, None):
        raise InputError("cache", "has no limits", "set max_gb or max_days, e.g. with --set cache.max_days=30")
    gone = cache_pruning.prune(config.results, config.cache.limits, dry_run=dry_run)
    _print(gone, json)
    if not json:
        counted = cache_pruning.count(gone)
        print_note(f"{counted} would be removed" if dry_run else f"pruned {counted}")


def _print(entries: "Iterable[Entry]", json: bool) -> None:
    if json:
        columns = ("cache", "name", "bytes", "used", "in_use")
        print_json({"entries": [{name: getattr(one, name) for name in columns} for one in entries]})
        return
    rows = [
        {
            "cache": one.cache,
            "name": PurePosixPath(one.name).stem[:12],
            "MB": one.bytes / 1e6,
            "used": one.used,
            "in use": "yes" if one.in_use else "no",
        }
        for one in entries
    ]
    if rows:
        print_table(rows)
