"""`nerbench history`: one score of one model over all its runs."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.completion import complete_model
from nerbench.flows.commands.options import Json, Since, configured
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import console, echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from rich.text import Text

    from nerbench.tasks.config import Config
    from nerbench.tasks.results.history import Point, Series

BARS = "▁▂▃▄▅▆▇█"
NO_BAR = "·"
PATIENCE_S = 10.0
"""Seconds of reading after which a message suggests compaction."""

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="The name of a model; all its versions are included.", autocompletion=complete_model
    ),
]
Metric = Annotated[
    str,
    typer.Option(
        "--metric", metavar="NAME", help="The metric, named as in the result tables: precision, recall, f1, …"
    ),
]
Label = Annotated[str, typer.Option("--label", metavar="NAME", help="An entity type, or overall for all types.")]
Slice = Annotated[
    str,
    typer.Option("--slice", metavar="NAME", help="The slice, named as in the result tables: all, unseen, length_1, …"),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode", metavar="NAME", help="The matching mode: strict, conlleval, exact, partial, type, span or tag."
    ),
]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Show this data set only.")]
Gold = Annotated[str | None, typer.Option("--gold", metavar="NAME", help="Show this annotation only.")]


@configured()
def history(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    model: Model,
    *,
    metric: Metric = "f1",
    label: Label = "overall",
    slice: Slice = "all",
    mode: Mode = "strict",
    dataset: Dataset = None,
    gold: Gold = None,
    since: Since = None,
    json: Json = False,
) -> None:
    """Show one score of a model over all its runs: intervals, changes between runs and missing nightly runs."""
    from nerbench.tasks.results.history import Query
    from nerbench.tasks.results.history import history as read_history
    from nerbench.tasks.run_identity import utc_now

    query = Query(metric=metric, label=label, slice=slice, mode=mode, dataset=dataset, gold=gold, since=since)
    query = replace(query, until=utc_now().date().isoformat())
    started = time.monotonic()
    with show_progress("reading the results"):
        found = read_history(config.results, model, query)
    if time.monotonic() - started > PATIENCE_S:
        print_note(
            "`nerbench results compact` merges the files of each day; this command then takes a tenth of the time"
        )
    if json:
        about = {"model": model, "metric": metric, "label": label, "slice": slice, "mode": mode}
        print_json(about | {"series": [asdict(one) for one in found]})
        return
    what = " ".join(word for word in (mode, metric.replace("f1", "F1"), label, slice) if word not in {"all", "overall"})
    for number, series in enumerate(found):
        if number:
            echo()
        show(series, f"{model}: {what}")


def show(series: "Series", title: str) -> None:
    """Print one row per run, then a sparkline and a summary."""
    against = "" if series.gold == series.dataset else f" against {series.gold}"
    title = f"{title} on {series.dataset} {series.split}{against}, in points"
    print_table(map(_row, series.points), title=title, optional=("run", "from … to"))
    screen = console()
    screen.print(sparkline([point.value for point in series.points], screen.width), highlight=False)
    screen.print(_summary(series.points), highlight=False, soft_wrap=not screen.is_terminal)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """One bar per value, scaled to the range, `·` for a missing value; if `width` is too small, means of neighbours."""
    n = min(len(values), width)
    parts = [values[len(values) * i // n : len(values) * (i + 1) // n] for i in range(n)]
    known = [[value for value in part if value is not None] for part in parts]
    means = [sum(part) / len(part) if part else None for part in known]
    low, high = (extreme((mean for mean in means if mean is not None), default=0.0) for extreme in (min, max))
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(NO_BAR if mean is None else BARS[round((mean - low) * scale)] for mean in means)


def _row(point: "Point") -> dict[str, Any]:
    from rich.text import Text

    ends = (point.ci_low, point.ci_high)
    changes = "; ".join([*([point.reason or "undefined"] if point.value is None else []), *point.changed])
    return {
        "date": point.date,
        "value": None if point.value is None else 100 * point.value,
        "change": _signed(point.change),
        "from … to": "" if None in ends else " … ".join(f"{100 * (end or 0):.2f}" for end in ends),
        "what changed": Text(changes, style="dim" if point.value is None else ""),
        "run": point.run_id,
    }


def _signed(change: float | None) -> "Text | None":
    from rich.text import Text

    if change is None:
        return None
    text = f"{100 * change:+.2f}"
    return Text(text, justify="right", style="red" if change < 0 else "green" if change > 0 else "")


def _summary(points: Sequence["Point"]) -> str:
    with_value = [point for point in points if point.value is not None]
    numbers = [100 * point.value for point in with_value if point.value is not None]
    n_missed = sum(point.run_id is None for point in points)
    facts = [f"{len(points) - n_missed} run{'s' if len(points) - n_missed != 1 else ''}"]
    if numbers:
        since = f" ({numbers[-1] - numbers[0]:+.2f} since {with_value[0].date})" if len(numbers) > 1 else ""
        facts.insert(0, f"{min(numbers):.2f} … {max(numbers):.2f}, last {numbers[-1]:.2f}{since}")
    if n_missed:
        facts.append(f"{n_missed} nightly run{'s' if n_missed > 1 else ''} missing")
    return "; ".join(facts)
