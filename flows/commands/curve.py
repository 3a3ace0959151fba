"""`nerbench curve`: F1 by the share of the training data."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.options import Json, configured
from nerbench.flows.commands.run import print_locations
from nerbench.flows.launch import start_prefect
from nerbench.flows.terminal import echo, print_json, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

Shares = Annotated[str, typer.Option("--shares", metavar="A,B", help="Percentages of the train split, e.g. 25,50,100.")]


@configured("datasets", "golds", "models", "benchmark", "metrics", "slices", "gate", begin=start_prefect)
def curve(config: "Config", *, shares: Shares = "5,10,25,50,100", json: Json = False) -> None:
    """Show whether more training data would help: train each model on shares of the data, and score it.

    Models without `seeds` are trained with three. The models are stored in the folder `curve` of the store.
    """
    from nerbench.artifacts.errors import InputError
    from nerbench.flows import preflight
    from nerbench.tasks.analysis.learning_curve import checked_shares

    try:
        percents = tuple(checked_shares([int(share) for share in shares.split(",")]))
    except ValueError:
        raise InputError("--shares", f"are {shares!r}", "write whole percentages, e.g. 25,50,100") from None
    summary = preflight.curve(config, percents)
    if json:
        print_json(summary | {"metrics": list(summary["metrics"])})
        return
    show(summary["curve"])
    print_locations(summary)


def show(rows: list[dict[str, Any]]) -> None:
    """Print F1 by share, then a sentence for each slope."""
    shown = [
        {name: row[name] for name in ("model", "dataset")}
        | {"share": f"{row['share']} %", "F1": _points(row["f1"]), "std": _points(row["std"]), "seeds": row["n"]}
        for row in rows
        if row["share"] is not None
    ]
    print_table(shown, title="strict F1 in points, by the share of the training data")
    for row in rows:
        if row["share"] is None:
            echo(f"{row['model']} on {row['dataset']}: {_slope(row)}")


def _slope(row: dict[str, Any]) -> str:
    if row["f1"] is None:
        return "no slope, as models without a score are missing"
    gain = f"{100 * row['f1']:+.2f} points of F1 per doubling of the data"
    if row["ci_low"] is None:
        return f"{gain}; two seeds or more would give an interval"
    ends = f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    return f"{gain} ({100 * row['confidence']:g}% CI {ends}, over {row['n']} seeds)"


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value
