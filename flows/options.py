"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.config import Config

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Configuration; nerbench.yaml here, else a demonstration."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the configuration, e.g. benchmark.split=validation."),
]
StoreUrl = Annotated[str | None, typer.Option("--store", metavar="URL", help="Where models are published.")]
ResultsUrl = Annotated[str | None, typer.Option("--results", metavar="URL", help="Where result tables go.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


def configuration(
    path: Path | None, changes: Sequence[str] | None, store: str | None, results: str | None
) -> "Config":
    """The configuration that the shared options describe."""
    from tasks.configfile import load_config

    return load_config(path, changes or (), store=store, results=results)
