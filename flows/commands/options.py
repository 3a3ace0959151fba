"""Options that several commands share, and the configuration that they determine."""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import ConfigError, InputError, Problems, collected
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.terminal import print_error, set_verbosity

if TYPE_CHECKING:
    from nerbench.tasks.config import Config, DatasetConfig

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print each step and Prefect's log on stderr.")]
Reference = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="A model: name, name@alias, name@sha256:…, a folder or a URL.",
        autocompletion=complete_reference,
    ),
]


def _checked(date: str | None) -> str | None:
    from nerbench.artifacts.tables.table_files import checked_date

    return None if date is None else checked_date(date)


Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", callback=_checked, help="Only runs on or after this day (YYYY-MM-DD)."),
]

SHARED: dict[str, Any] = {
    "config_file": Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            help="Configuration file. Default: ./nerbench.yaml if it exists, otherwise the demo.",
        ),
    ],
    "changes": Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Override one key, e.g. benchmark.split=validation; repeatable."
        ),
    ],
    "store": Annotated[str | None, typer.Option("--store", metavar="URL", help="The model store: a folder or URL.")],
    "results": Annotated[
        str | None, typer.Option("--results", metavar="URL", help="Location of the result tables: a folder or URL.")
    ],
}
TELLING: dict[str, Any] = {"quiet": Quiet, "verbose": Verbose}


def tell(*, quiet: bool, verbose: bool) -> None:
    """Apply `-q` and `-v`; raises InputError if both are given."""
    if quiet and verbose:
        raise InputError("-q and -v", "contradict each other", "give one of them")
    set_verbosity("quiet" if quiet else "verbose" if verbose else "normal")


def _finish(command: Callable[[], None], problems: Problems) -> None:
    """Run a command, then print one line per damaged object; exit with status 1 if there are any."""
    try:
        command()
    finally:
        for problem in problems.values():
            print_error(f"nerbench: {problem}")
    if problems:
        raise typer.Exit(1)


def configured(
    *needs: str, begin: Callable[[], None] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the shared options to a command whose first parameter is the configuration.

    `needs` names the sections whose files must exist for this command. `begin` is called before the configuration is
    read.
    """
    return partial(_configured, needs=needs, begin=begin)


def _configured(
    command: Callable[..., None], needs: tuple[str, ...], begin: Callable[[], None] | None
) -> Callable[..., None]:
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for options, default in ((SHARED, None), (TELLING, False))
        for name, annotation in options.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        tell(**{name: given.pop(name) for name in TELLING})
        if begin:
            begin()
        from nerbench.artifacts.secrets import redact_logs
        from nerbench.tasks.config.loading import load_config, trust

        redact_logs()
        described = {name: given.pop(name) for name in SHARED}
        path, changes = described["config_file"], described["changes"] or ()
        where = {name: described[name] for name in ("store", "results")}
        config = load_config(path, changes, **where, needs=needs)
        trust(path, config)
        with collected() as problems:
            _finish(partial(command, config, **given), problems)

    parameters = [*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__
    return run


def pick_dataset(config: "Config", name: str | None) -> "DatasetConfig":
    """The data set of that name, or the only one. Raises ConfigError if there is none, or several and no name."""
    known = [one.name for one in config.datasets]
    if not known:
        raise ConfigError("datasets", "there is no corpus", "add the one that was predicted")
    if name is None and len(known) > 1:
        raise ConfigError("--dataset", "is missing, and there are several", f"name one of {', '.join(known)}")
    if name is not None and name not in known:
        raise ConfigError("--dataset", f"there is no data set {name}", f"name one of {', '.join(known)}")
    return next(one for one in config.datasets if name in (None, one.name))
