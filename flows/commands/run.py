"""`nerbench run`, `train`, `benchmark` and `score`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, Since, configured
from nerbench.flows.launch import start_prefect
from nerbench.flows.terminal import print_custom as print_user_functions
from nerbench.flows.terminal import print_json, print_leaderboard, print_note, print_robustness, print_table, verbosity

if TYPE_CHECKING:
    from nerbench.tasks.config import Config


References = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="REF",
        help="name, name@alias, name@sha256:…, *@latest, a folder or a URL.",
        autocompletion=complete_reference,
    ),
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


Speed = Annotated[
    bool | None, typer.Option("--speed/--no-speed", help="Also measure latency and memory. Default: as configured.")
]


start_server = partial(start_prefect, automations=False)


@configured("datasets", "golds", "models", "benchmark", "metrics", "slices", "gate", begin=start_prefect)
def run(config: "Config", json: Json = False) -> None:
    """Train, save and benchmark the models in the configuration."""
    from nerbench.flows import preflight

    print_summary(preflight.run(config), json)
    if not json:
        print_note(_what_next(config))


@configured("datasets", "models", begin=start_prefect)
def train(config: "Config", json: Json = False) -> None:
    """Fine-tune the models in the configuration and publish them in the store."""
    from nerbench.flows import preflight

    print_summary(preflight.train(config), json)


@configured("datasets", "golds", "benchmark", "metrics", "slices", "gate", begin=start_server)
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
    from nerbench.flows import preflight

    config = _with_metrics(config, metrics, tags)
    print_summary(preflight.benchmark(config, references, refresh=refresh, speed=speed), json)


@configured("metrics", "slices", begin=start_server)
def score(
    config: "Config", *, since: Since = None, metrics: Metrics = None, tags: Tags = None, json: Json = False
) -> None:
    """Score stored predictions with custom metrics or newer built-in metrics, without inference."""
    from nerbench.flows import preflight

    summary = preflight.score(_with_metrics(config, metrics, tags), since)
    if json:
        print_json(summary | {"metrics": list(summary["metrics"])})
        return
    print_user_metrics(summary["metrics"])
    print_note(f"{len(summary['metrics'])} numbers added to the tables; existing rows are unchanged")


def print_summary(summary: dict[str, Any], json: bool) -> None:
    """Print undecided comparisons first, then the scores on stdout and the location of the results on stderr."""
    if gate := summary.get("gate", ()):
        from nerbench.tasks.comparison.quality_gate import describe, undecided

        if named := undecided(gate):
            print_note(f"undecided: {named}")
    if json:
        print_json(summary | {"metrics": list(summary["metrics"])})
        return
    from nerbench.tasks.results.summary import leaderboard

    if summary["metrics"]:
        print_leaderboard(leaderboard(summary["metrics"]))
        print_user_metrics(summary["metrics"])
        print_note(f"evaluated: {summary['evaluated']}, cached: {summary['cached']}")
    if custom := summary.get("custom"):
        print_user_functions(custom)
    if robustness := summary.get("robustness"):
        print_robustness(robustness)
    for row in gate:
        print_note(f"gate: {describe(row)}")
    print_locations(summary)
    if summary.get("pruned"):
        print_note(summary["pruned"])


def print_locations(summary: dict[str, Any]) -> None:
    """Print one line with the locations of results and report; with `-v`, also every model and table.

    Without scores, as after a training, the models are the result and are named as well.
    """
    detailed = verbosity() == "verbose"
    if detailed or not summary["metrics"]:
        for artifact in summary["artifacts"]:
            uri = f": {artifact['uri']}" if detailed else ""
            print_note(f"model {artifact['name']}@sha256:{artifact['artifact_id'][:12]}{uri}")
    if detailed:
        for table, uris in summary["tables"].items():
            print_note(f"table {table}: {uris[0]}{f' and {len(uris) - 1} more' if len(uris) > 1 else ''}")
    folders = [uris[0].rpartition(f"/{table}/schema=")[0] for table, uris in summary["tables"].items()]
    places = [f"results in {folder}" for folder in folders[:1]]
    places += [f"report at {summary['report']}"] if summary.get("report") else []
    if places:
        print_note(", ".join(places))


def print_user_metrics(metrics: list[dict[str, Any]]) -> None:
    """Print the values of custom metrics, if there are any."""
    from nerbench.tasks.results.summary import user_metric_rows

    if rows := user_metric_rows(metrics):
        print_table(rows, title="custom metrics")


def _with_metrics(config: "Config", files: list[Path] | None, tags: list[str] | None) -> "Config":
    """The configuration with further files of metrics, and with the tags given, each `A,B`, in place of its own."""
    from nerbench.tasks.config.permissions import CODE, grant

    named = [str(file.expanduser().absolute()) for file in files or ()]
    grant(CODE, *named)  # a shell reports this error itself
    metrics = (*config.metrics, *(file for file in dict.fromkeys(named) if file not in config.metrics))
    given = [tag.strip() for text in tags or () for tag in text.split(",") if tag.strip()]
    wanted = config.benchmark.tags if tags is None else tuple(dict.fromkeys(given))
    benchmark = config.benchmark.model_copy(update={"tags": wanted})
    return config.model_copy(update={"metrics": metrics, "benchmark": benchmark})


def _what_next(config: "Config") -> str:
    """Commands to try after a run."""
    names = " ".join(f"{name}@latest" for name in config.model_names)
    return f"""next: nerbench benchmark {names}    again, from cached predictions
      nerbench artifacts ls    what is stored
      nerbench results show    the newest run's scores, speed and memory"""
