"""The `nerbench` command. Each command imports heavy packages only when it needs them."""

import atexit
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from textwrap import shorten
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench import __version__
from nerbench.artifacts.errors import InputError, NerbenchError, RunFailedError
from nerbench.artifacts.secrets import redact
from nerbench.artifacts.storage.paths import no_room
from nerbench.flows.commands import (
    artifacts,
    cache,
    compare,
    history,
    init,
    inspect_data,
    predict,
    publish,
    results,
    serve,
    speed,
)
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.report import report as write_report
from nerbench.flows.commands.terminal import (
    columns,
    complain,
    print_custom,
    print_json,
    print_leaderboard,
    print_table,
    say,
)

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

BUG_STATUS = 70
INTERRUPTED_STATUS = 128 + signal.SIGINT
BROKEN_PIPE_STATUS = 128 + 13  # what a shell reports for SIGPIPE


app = typer.Typer(
    name="nerbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(artifacts.app, name="artifacts")
app.add_typer(results.app, name="results")
app.add_typer(cache.app, name="cache")
app.command()(compare.compare)
app.command()(history.history)
app.command()(init.init)
app.command()(inspect_data.inspect_data)
app.command()(predict.predict)
app.command()(publish.publish)
app.command(name="report")(write_report)
app.command()(serve.serve)
app.command()(speed.speed)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, save and benchmark named-entity recognition models."""


References = Annotated[
    list[str] | None,
    typer.Argument(metavar="REF", help="name, name@alias, name@sha256:…, *@latest, a folder or a URL."),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Run inference again, even if predictions are cached.")]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tags", metavar="A,B", help="Only metrics and functions with one of these tags; repeatable."),
]
Metrics = Annotated[
    list[Path] | None,
    typer.Option(
        "--metrics",
        metavar="FILE",
        help="File with custom metrics and functions, in addition to the configured ones; repeatable.",
    ),
]
Audited = Annotated[
    str | None,
    typer.Argument(metavar="[REF]", help="With --audit: the model to audit. Default: the newest one in the store."),
]
Audit = Annotated[
    bool, typer.Option("--audit", help="Plant faults in copies of the data and check that the gates detect them.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Only runs on or after this day (YYYY-MM-DD).")
]
Speed = Annotated[
    bool | None, typer.Option("--speed/--no-speed", help="Also measure latency and memory. Default: as configured.")
]


@app.command()
@configured("datasets", "golds", "models", "benchmark", "metrics", "slices", "gate")
def run(config: "Config", json: Json = False) -> None:
    """Train, save and benchmark the models in the configuration."""
    from nerbench.flows.commands import jobs

    report(jobs.run(config), json)
    if not json:
        say(jobs.what_next(config))


@app.command()
@configured("datasets", "models")
def train(config: "Config", json: Json = False) -> None:
    """Fine-tune the models in the configuration and publish them in the store."""
    from nerbench.flows.commands import jobs

    report(jobs.train(config), json)


@app.command()
@configured("datasets", "golds", "benchmark", "metrics", "slices", "gate")
def benchmark(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    references: References = None,
    *,
    refresh: Refresh = False,
    speed: Speed = None,
    metrics: Metrics = None,
    tags: Tags = None,
    json: Json = False,
) -> None:
    """Benchmark the named models, or every model in the store. This command does not train."""
    from nerbench.flows.commands import jobs

    config = jobs.with_metrics(config, metrics, tags)
    report(jobs.benchmark(config, references, refresh=refresh, speed=speed), json)


@app.command()
@configured("metrics", "slices")
def score(
    config: "Config", *, since: Since = None, metrics: Metrics = None, tags: Tags = None, json: Json = False
) -> None:
    """Score stored predictions with custom metrics or newer built-in metrics, without inference."""
    from nerbench.flows.commands import jobs

    summary = jobs.score(jobs.with_metrics(config, metrics, tags), since)
    if json:
        print_json(summary | {"metrics": list(summary["metrics"])})
        return
    print_own(summary["metrics"])
    say(f"{len(summary['metrics'])} numbers added to the tables; existing rows are unchanged")


@app.command()
@configured()
def doctor(config: "Config", reference: Audited = None, *, audit: Audit = False, json: Json = False) -> None:
    """Check Python, versions, device, store and disk, and print a remedy for each failure; or audit the gates."""
    from nerbench.flows.commands.diagnosis import diagnose

    if audit:
        show_audit(config, reference, json)
        return
    if reference:
        raise InputError(f"model {reference!r}", "has no effect on a check of the machine", "add --audit")
    found = diagnose(config)
    if json:
        print_json({"ok": all(check["ok"] for check in found), "checks": found})
    else:
        print_table({**check, "ok": "ok" if check["ok"] else "FAILED"} for check in found)
    if not all(check["ok"] for check in found):
        raise typer.Exit(1)


def show_audit(config: "Config", reference: str | None, json: bool) -> None:
    """Print the result of every gate; exit with status 1 if a gate missed its fault."""
    from nerbench.flows.commands.diagnosis import audit

    found = audit(config, reference)
    if json:
        print_json(found)
    else:
        rows = columns(found["faults"], ("fault", "gate", "outcome", "said"))
        where = f"the first {found['sentences']} sentences of {found['dataset']}, {found['split']}"
        shortened = ({**row, "said": shorten(row["said"], 120, placeholder=" …")} for row in rows)
        print_table(shortened, title=f"{found['model']} on {where}")
    if not found["ok"]:
        raise typer.Exit(1)


def report(summary: dict[str, Any], json: bool) -> None:
    """Print undecided comparisons first, then the scores on stdout and the locations of all results on stderr."""
    if gate := summary.get("gate", ()):
        from nerbench.tasks.comparison.gate import said, undecided

        if named := undecided(gate):
            say(f"undecided: {named}")
    if json:
        print_json(summary | {"metrics": list(summary["metrics"])})
        return
    from nerbench.tasks.results.summary import leaderboard

    if summary["metrics"]:
        print_leaderboard(leaderboard(summary["metrics"]))
        print_own(summary["metrics"])
        say(f"evaluated: {summary['evaluated']}, cached: {summary['cached']}")
    if custom := summary.get("custom"):
        print_custom(custom)
    for row in gate:
        say(f"gate: {said(row)}")
    for artifact in summary["artifacts"]:
        say(f"model {artifact['name']}@sha256:{artifact['artifact_id'][:12]}: {artifact['uri']}")
    for table, uris in summary["tables"].items():
        say(f"table {table}: {uris[0]}{f' and {len(uris) - 1} more' if len(uris) > 1 else ''}")
    if summary.get("report"):
        say(f"report: {summary['report']}")
    if summary.get("pruned"):
        say(summary["pruned"])


def print_own(metrics: list[dict[str, Any]]) -> None:
    """Print the values of custom metrics, if there are any."""
    from nerbench.tasks.results.summary import own_numbers

    if rows := own_numbers(metrics):
        print_table(rows, title="custom metrics")


def main() -> None:
    """Run a command and exit with its status. SIGTERM has the effect of Ctrl-C: child processes end first."""
    signal.signal(signal.SIGTERM, _terminate)
    status = BUG_STATUS

    def leave() -> None:
        """Exit without interpreter shutdown, which takes a second to tear down torch's modules."""
        _flush()
        os._exit(status)

    atexit.register(leave)  # as the first, so that it is called last
    status = status_of(sys.argv[1:])
    sys.exit(status)


def _flush() -> None:
    """Flush stdout and stderr; ignore a closed pipe."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def status_of(arguments: list[str]) -> int:
    """Run a command line and return its exit status.

    An error that the user can fix is one line on stderr; a bug in nerbench shows its traceback.
    """
    try:
        result = app(arguments, prog_name="nerbench", standalone_mode=False)
        sys.stdout.flush()
        if result == INTERRUPTED_STATUS:  # typer ends a command at Ctrl-C without a word
            return _refuse("interrupted; run the command again to continue", INTERRUPTED_STATUS)
        return result if isinstance(result, int) else 0
    except NerbenchError as error:
        if isinstance(error, RunFailedError) and error.summary:
            report(error.summary, json="--json" in arguments)
        return _refuse(error, error.exit_status)
    except KeyboardInterrupt:
        return _refuse("interrupted; run the command again to continue", INTERRUPTED_STATUS)
    except (Exception, SystemExit) as error:
        return _refuse_unforeseen(error)


def _refuse_unforeseen(error: Exception | SystemExit) -> int:
    if _is_unread(error):
        return BROKEN_PIPE_STATUS  # `nerbench … | head` expects no message
    if number := no_room(error):
        what = getattr(error, "filename", None) or "the output"
        return _refuse(f"{what} cannot be written: {os.strerror(number)}; make room on that disk", 1)
    if callable(message := getattr(error, "format_message", None)):  # typer keeps its usage errors to itself
        return _refuse(f"{message()} See `nerbench --help`.", 2) if message() else 2
    complain(redact("".join(traceback.format_exception(error)).rstrip()))
    return _refuse(f"this is a bug in nerbench ({type(error).__name__}); please report the traceback", BUG_STATUS)


def _is_unread(error: BaseException) -> bool:
    """Whether the error means that stdout is closed; another pipe or custom code may have raised it as well."""
    if isinstance(error, SystemExit):  # rich makes one of a broken pipe, and stdout a file that is read
        return isinstance(error.__context__, BrokenPipeError)
    if not isinstance(error, BrokenPipeError):
        return False
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in output.poll(0))


def _refuse(error: object, status: int) -> int:
    complain(redact(f"nerbench: {' '.join(str(error).split())}"))
    return status


if __name__ == "__main__":
    main()
