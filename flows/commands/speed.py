"""`nerbench speed`: measure speed and memory of stored models and of architectures without weights."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import ConfigError, InputError
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from nerbench.flows.sweeps import Sweep
    from nerbench.tasks.config import Config

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REF|CONFIG]...",
        help="Stored models, folders or Hub ids; or architectures: bert-base, '{model_type: bert, …}'.",
        autocompletion=complete_reference,
    ),
]
BatchSizes = Annotated[
    str | None, typer.Option("--batch-sizes", metavar="N,N", help="Sentences per batch. Default: 8.")
]
Lengths = Annotated[
    str | None,
    typer.Option(
        "--sequence-lengths",
        metavar="N,N",
        help="Tokens per sentence; real: the data set's sentences. Default: 8,32,128,512,real.",
    ),
]
Workloads = Annotated[str | None, typer.Option("--workloads", metavar="A,B", help="inference (default), training.")]
Backends = Annotated[
    str | None, typer.Option("--backends", metavar="A,B", help="eager (default), compile, int8, onnx.")
]
Dtypes = Annotated[str | None, typer.Option("--dtypes", metavar="A,B", help="fp32 (default), bf16, fp16.")]
Precisions = Annotated[
    str | None, typer.Option("--precisions", metavar="A,B", hidden=True, help="Deprecated name of `--dtypes`.")
]
Head = Annotated[
    str | None,
    typer.Option("--head", metavar="HEAD", help="token; or none: only the encoder. Default: the head of the model."),
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", metavar="N", help="Processes that time each cell, one after another. Default: 3."),
]
MultiProcess = Annotated[
    bool | None,
    typer.Option(
        "--multi-process/--no-multi-process",
        help="Measure in separate processes (default), or once in this one, for breakpoints and tracebacks.",
        show_default=False,
    ),
]
Iterations = Annotated[
    int | None, typer.Option("--iterations", metavar="N", help="Minimum calls per process and cell. Default: 10.")
]
Minimum = Annotated[
    float | None, typer.Option("--minimum", metavar="S", help="Minimum seconds per process and cell. Default: 1.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="S", help="Seconds after which a process is stopped and its cell abandoned. Default: 600."
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv", metavar="FILE|FOLDER", help="Also write all columns to FILE.csv, or one file per section to FOLDER."
    ),
]


@configured("benchmark")
def speed(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    models: Models = None,
    *,
    batch_sizes: BatchSizes = None,
    sequence_lengths: Lengths = None,
    workloads: Workloads = None,
    backends: Backends = None,
    dtypes: Dtypes = None,
    precisions: Precisions = None,
    head: Head = None,
    processes: Processes = None,
    multi_process: MultiProcess = None,
    iterations: Iterations = None,
    minimum: Minimum = None,
    timeout: Timeout = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Measure latency, throughput and memory over batch sizes, sequence lengths, backends and dtypes.

    If you repeat an interrupted sweep within twelve hours, it measures only the missing cells.
    """
    lists = {
        "batch_sizes": batch_sizes,
        "sequence_lengths": sequence_lengths,
        "workloads": workloads,
        "backends": backends,
        "dtypes": dtypes or _renamed(precisions),
    }
    single: dict[str, Any] = {
        "head": head,
        "processes": processes,
        "multi_process": multi_process,
        "iterations": iterations,
    }
    single |= {"minimum_s": minimum, "timeout_s": timeout}
    given: dict[str, Any] = {name: _parts(text) for name, text in lists.items() if text is not None}
    given |= {name: value for name, value in single.items() if value is not None}
    if csv:
        _check_writable(csv)
    from nerbench.flows.sweeps import changed, measure

    done = measure(changed(config, given), models)
    if csv:
        done.to_csv(csv)
    if json:
        print_json(done._asdict())
    else:
        _print(done)


def _renamed(precisions: str | None) -> str | None:
    from nerbench.tasks.config.deprecated_keys import warn_deprecated

    if precisions is not None:
        warn_deprecated("--precisions", "write --dtypes")
    return precisions


def _parts(text: str) -> list[int | str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.lstrip("-").isdecimal() else part for part in parts]


def _check_writable(target: Path) -> None:
    from nerbench.flows.sweeps import is_folder
    from nerbench.tasks.measuring.sweep_view import FILES

    if is_folder(target):
        if written := [name for name in FILES if (target / name).exists()]:
            raise ConfigError("--csv", f"{target / written[0]} is there already", "name a new folder")
    elif target.exists():
        raise ConfigError("--csv", f"{target} is there already", "name a new file")
    there = (target.absolute(), *target.absolute().parents) if is_folder(target) else (target.absolute().parent,)
    nearest = next((path for path in there if path.exists()), None)
    if nearest is None or not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InputError("--csv", f"{target} cannot be written", "name a file in a folder of your own")


def _print(done: "Sweep") -> None:
    from nerbench.tasks.measuring.sweep_view import surroundings, sweep_table, taken_over, troubles

    for workload in dict.fromkeys(row["workload"] for row in done.speed if row["status"] == "ok"):
        print_table(
            sweep_table(done.speed, done.memory, workload),
            title=f"{workload}: time of a batch, 95 % interval, peak memory over baseline",
            optional=("sentences/s", "p90 ms", "tokens/s", "agree"),
        )
        echo()
    print_table(surroundings(done.environment, done.speed), title="environment")
    for line in (*taken_over(done.speed), *troubles(done.speed, done.memory)):
        print_note(line)
    for table, uris in done.tables.items():
        print_note(f"table {table}: {uris[0]}{f' and {len(uris) - 1} more' if len(uris) > 1 else ''}")
