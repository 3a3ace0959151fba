"""`nerbench speed`: measure speed and memory of stored models and of architectures without weights."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.artifacts.errors import ConfigError, InputError
from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.terminal import echo, print_json, print_table, say

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REF|CONFIG]...",
        help="Stored models, folders or hf://ORG/NAME; or architectures: bert-base, '{model_type: bert, …}'.",
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
Precisions = Annotated[str | None, typer.Option("--precisions", metavar="A,B", help="fp32 (default), bf16, fp16.")]
Processes = Annotated[
    int | None,
    typer.Option("--processes", metavar="N", help="Processes that time each cell, one after another. Default: 3."),
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
    Path | None, typer.Option("--csv", metavar="FILE", help="Also write the table with all columns to this CSV file.")
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
    precisions: Precisions = None,
    processes: Processes = None,
    iterations: Iterations = None,
    minimum: Minimum = None,
    timeout: Timeout = None,
    csv: Csv = None,
    json: Json = False,
) -> None:
    """Measure latency, throughput and memory over batch sizes, sequence lengths, backends and precisions."""
    lists = {
        "batch_sizes": batch_sizes,
        "sequence_lengths": sequence_lengths,
        "workloads": workloads,
        "backends": backends,
        "precisions": precisions,
    }
    numbers = {"processes": processes, "iterations": iterations, "minimum_s": minimum, "timeout_s": timeout}
    given: dict[str, Any] = {name: _parts(text) for name, text in lists.items() if text is not None}
    given |= {name: number for name, number in numbers.items() if number is not None}
    if csv:
        _check_writable(csv)
    done = _measure(_changed(config, given), models)
    if csv:
        from nerbench.tasks.measuring.shown import write_csv

        write_csv(csv, done["speed"], done["memory"])
    if json:
        print_json(done)
    else:
        _print(done)


def _measure(config: "Config", models: Sequence[str] | None) -> dict[str, Any]:
    """Check everything that can be wrong before the flow writes something, and run it."""
    from nerbench.flows.commands.launch import begin, running

    begin()
    from nerbench.tasks.configuration.configfile import absolute_reference
    from nerbench.tasks.corpora.demo import prepare_demo
    from nerbench.tasks.measuring.subjects import find_subjects
    from nerbench.tasks.measuring.tables import plan_of

    wanted = [one if one.startswith("{") else absolute_reference(one) for one in models or config.benchmark.models]
    subjects = find_subjects(wanted, config.store)
    if any(subject.artifact for subject in subjects):
        prepare_demo(config)
    plan_of(config, subjects)
    from nerbench.flows.speed import speed as speed_flow

    with running():
        return speed_flow(config, models=wanted)


def _parts(text: str) -> list[int | str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.lstrip("-").isdecimal() else part for part in parts]


def _changed(config: "Config", given: dict[str, Any]) -> "Config":
    """The configuration with what the options say of its section `speed`; raises ConfigError like the file's."""
    from pydantic import ValidationError

    from nerbench.tasks.configuration.configerrors import first_problem

    data = config.model_dump()
    data["speed"] |= given
    try:
        return type(config).model_validate(data)
    except ValidationError as error:
        raise first_problem(error, data) from None


def _check_writable(file: Path) -> None:
    if file.exists():
        kind = "is a folder" if file.is_dir() else "is there already"
        raise ConfigError("--csv", f"{file} {kind}", "name a new file")
    if not os.access(file.absolute().parent, os.W_OK):
        raise InputError("--csv", f"{file} cannot be written", "name a file in a folder of your own")


def _print(done: dict[str, Any]) -> None:
    from nerbench.tasks.measuring.shown import surroundings, sweep_table, troubles

    for workload in dict.fromkeys(row["workload"] for row in done["speed"] if row["status"] == "ok"):
        print_table(
            sweep_table(done["speed"], done["memory"], workload),
            title=f"{workload}: time of a batch, 95 % interval, peak memory over baseline",
            optional=("sentences/s", "p90 ms", "tokens/s", "agree"),
        )
        echo()
    print_table(surroundings(done["environment"], done["speed"]), title="environment")
    for line in troubles(done["speed"], done["memory"]):
        say(line)
    for table, uris in done["tables"].items():
        say(f"table {table}: {uris[0]}{f' and {len(uris) - 1} more' if len(uris) > 1 else ''}")
