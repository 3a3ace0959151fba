"""The `nerbench` command. Each command imports heavy packages only when it needs them."""

import atexit
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from nerbench import __version__
from nerbench.artifacts.errors import InputError, NerbenchError, RunFailedError
from nerbench.artifacts.secrets import redact
from nerbench.artifacts.storage.paths import no_room
from nerbench.flows.commands import (
    agree,
    artifacts,
    artifacts_archive,  # noqa: F401 - adds commands to `artifacts`
    artifacts_sign,  # noqa: F401
    cache,
    compare,
    curve,
    doctor,
    history,
    init,
    inspect_data,
    predict,
    predictions,
    publish,
    results,
    run,
    serve,
    speed,
    suspects,
)
from nerbench.flows.commands.report import report as write_report
from nerbench.flows.commands.run import print_summary
from nerbench.flows.python_gc import collect_less
from nerbench.flows.terminal import (
    print_error,
)

BUG_STATUS = 70
INTERRUPTED_STATUS = 128 + signal.SIGINT
BROKEN_PIPE_STATUS = 128 + 13  # what a shell reports for SIGPIPE


app = typer.Typer(
    name="nerbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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


app.command()(run.run)
app.command()(run.train)
app.command()(run.benchmark)
app.command()(run.score)
app.command()(doctor.doctor)
app.add_typer(artifacts.app, name="artifacts")
app.add_typer(results.app, name="results")
app.add_typer(predictions.app, name="predictions")
app.add_typer(cache.app, name="cache")
app.command()(compare.compare)
app.command()(agree.agree)
app.command()(curve.curve)
app.command()(history.history)
app.command()(init.init)
app.command()(inspect_data.inspect_data)
app.command()(predict.predict)
app.command()(publish.publish)
app.command(name="report")(write_report)
app.command()(serve.serve)
app.command()(speed.speed)
app.add_typer(suspects.app, name="suspects")


def main() -> None:
    """Run a command and exit with its status.

    SIGTERM and the end of the terminal have the effect of Ctrl-C: child processes end first.
    """
    _open_streams()
    collect_less()  # before imports, which leave hardly any garbage
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` sets it
            signal.signal(number, _terminate)
    status = BUG_STATUS

    def leave() -> None:
        """Exit without interpreter shutdown, which takes a second to tear down torch's modules."""
        _flush()
        os._exit(status)

    atexit.register(leave)  # as the first, so that it is called last
    status = status_of(sys.argv[1:])
    sys.exit(status)


def _open_streams() -> None:
    """Open /dev/null for each standard stream that is closed; otherwise, the next file or socket takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as the process


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
        _require_values(arguments)
        result = app(arguments, prog_name="nerbench", standalone_mode=False)
        sys.stdout.flush()
        if result == INTERRUPTED_STATUS:  # typer ends a command at Ctrl-C without a word
            return _refuse("interrupted; run the command again to continue", INTERRUPTED_STATUS)
        return result if isinstance(result, int) else 0
    except NerbenchError as error:
        if isinstance(error, RunFailedError) and error.summary:
            print_summary(error.summary, json="--json" in arguments)
        return _refuse(error, error.exit_status)
    except KeyboardInterrupt:
        return _refuse("interrupted; run the command again to continue", INTERRUPTED_STATUS)
    except (Exception, SystemExit) as error:
        is_completion = isinstance(error, SystemExit) and "_NERBENCH_COMPLETE" in os.environ  # typer answers the shell
        return 0 if is_completion else _refuse_unforeseen(error)


def _require_values(arguments: list[str]) -> None:
    """Raise InputError for an empty argument, which would mean the working directory as a path."""
    if "" in arguments:
        before = ["nerbench", *arguments][arguments.index("")]
        raise InputError(f"the argument after {before}", "is empty", "give a value, or set the shell variable")


def _refuse_unforeseen(error: Exception | SystemExit) -> int:
    if "KeyboardInterrupt" in str(error):  # pydantic turns one during serialization into an error
        return _refuse("interrupted; run the command again to continue", INTERRUPTED_STATUS)
    if _is_unread(error):
        return BROKEN_PIPE_STATUS  # `nerbench … | head` expects no message
    if number := no_room(error):
        what = getattr(error, "filename", None) or "the output"
        return _refuse(f"{what} cannot be written: {os.strerror(number)}; make room on that disk", 1)
    if callable(message := getattr(error, "format_message", None)):  # typer keeps its usage errors to itself
        text = message().replace(": Value error, ", ": ")  # which pydantic adds
        text += "." if text and text[-1] not in ".?" else ""
        command = getattr(getattr(error, "ctx", None), "command_path", "nerbench")
        return _refuse(f"{text} See `{command} --help`.", 2) if text else 2
    if problem := _in_settings(error):
        return _refuse(f"Prefect's settings: {problem}; correct the profile or the variable PREFECT_…", 2)
    print_error(redact("".join(traceback.format_exception(error)).rstrip()))
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


def _in_settings(error: Exception | SystemExit) -> str:
    """The problem with Prefect's settings, which Prefect reads on import; empty for every other error."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__))
    if not (isinstance(error, ValueError) and any(name.startswith("prefect.settings") for name in modules)):
        return ""
    if callable(listed := getattr(error, "errors", None)):  # an error of pydantic, whose text also shows the value
        first = listed()[0]
        setting = ".".join(map(str, first["loc"]))
        return f"{setting}: {first['msg']}" if setting else str(first["msg"])
    return str(error)


def _refuse(error: object, status: int) -> int:
    with suppress(OSError):  # the terminal is gone
        print_error(redact(f"nerbench: {' '.join(str(error).split())}"))
    return status


if __name__ == "__main__":
    main()
