"""The `nerbench` command. Nothing heavy is imported before a command needs it."""

import sys
import traceback
from typing import Annotated, Any

import typer

from artifacts.errors import NerbenchError, RunFailedError
from flows import cli_artifacts, cli_results
from flows.options import Changes, ConfigFile, Json, ResultsUrl, StoreUrl, configuration
from flows.terminal import print_json, print_table, say

BUG_STATUS = 70
INTERRUPTED_STATUS = 130

app = typer.Typer(
    name="nerbench",
    help="Train, save and benchmark named-entity taggers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_artifacts.app, name="artifacts")
app.add_typer(cli_results.app, name="results")

References = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REF]...", help="name, name@alias, name@sha256:…, *@latest, a folder or a URL.", show_default=False),
]


@app.command()
def run(
    config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, results: ResultsUrl = None, json: Json = False
) -> None:
    """Train, save and benchmark the models of the configuration."""
    from flows import jobs

    settings = configuration(config, set_, store, results)
    _report(jobs.run(settings), json)
    if not json:
        jobs.say_what_next(settings, config)


@app.command()
def train(
    config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, results: ResultsUrl = None, json: Json = False
) -> None:
    """Fine-tune the models of the configuration and publish them."""
    from flows import jobs

    _report(jobs.train(configuration(config, set_, store, results)), json)


@app.command()
def benchmark(
    references: References = None,
    config: ConfigFile = None,
    set_: Changes = None,
    store: StoreUrl = None,
    results: ResultsUrl = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Infer again even where predictions are cached.")] = False,
    speed: Annotated[bool | None, typer.Option("--speed/--no-speed", help="Measure latency and memory too.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Benchmark stored models: those named, or every model of the store."""
    from flows import jobs

    changes = [*(set_ or ()), *([f"benchmark.speed={str(speed).lower()}"] if speed is not None else ())]
    settings = configuration(config, changes, store, results)
    _report(jobs.benchmark(settings, references, refresh=refresh), json)


@app.command()
def doctor(
    config: ConfigFile = None, set_: Changes = None, store: StoreUrl = None, results: ResultsUrl = None, json: Json = False
) -> None:
    """Check Python, versions, device, store and disk; one line each, with the remedy."""
    from tasks.doctor import checks

    settings = configuration(config, set_, store, results)
    found = [check._asdict() for check in checks(settings.store, settings.results)]
    if json:
        print_json({"ok": all(check["ok"] for check in found), "checks": found})
    else:
        print_table({**check, "ok": "ok" if check["ok"] else "FAILED"} for check in found)
    if not all(check["ok"] for check in found):
        raise typer.Exit(1)


def _report(summary: dict[str, Any], json: bool) -> None:
    if json:
        print_json(summary)
        return
    from tasks.summary import leaderboard

    if summary["metrics"]:
        print_table(leaderboard(summary["metrics"]), title="entity scores in points, strict unless named")
    elif summary["artifacts"]:
        print_table(summary["artifacts"], title="published")
    say(f"evaluated: {summary['evaluated']}, cached: {summary['cached']}")
    for table, uris in summary["tables"].items():
        say(f"{table}: {uris[0]}{f' and {len(uris) - 1} more' if len(uris) > 1 else ''}")


def main() -> None:
    """Run a command and end with its exit status."""
    sys.exit(status_of(sys.argv[1:]))


def status_of(arguments: list[str]) -> int:
    """Run a command line; returns the exit status. One line on stderr for what the user can mend, a traceback for a bug."""
    try:
        result = app(arguments, prog_name="nerbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except RunFailedError as error:
        if error.summary and "--json" in arguments:
            print_json(error.summary)
        elif error.summary:
            _report(error.summary, json=False)
        return _refuse(error, error.exit_status)
    except NerbenchError as error:
        return _refuse(error, error.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED_STATUS
    except Exception as error:
        if callable(message := getattr(error, "format_message", None)):  # typer keeps its usage errors to itself
            return _refuse(f"{message()} See `nerbench --help`.", 2)
        traceback.print_exc()
        say(f"nerbench: this is a bug of ours ({type(error).__name__}). Please report it with the traceback above.")
        return BUG_STATUS


def _refuse(error: object, status: int) -> int:
    say(f"nerbench: {' '.join(str(error).split())}")
    return status


if __name__ == "__main__":
    main()
