"""`nerbench agree`: agreement between models, and the highest F1 that a choice among them can reach."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import echo, print_json, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config

SEVERAL = "At least two stored models: REF for the newest run, REF#RUN_ID or REF#DATE for an earlier run."
References = Annotated[list[str], typer.Argument(metavar="REF", help=SEVERAL, autocompletion=complete_reference)]
Dataset = Annotated[
    str | None, typer.Option("--dataset", metavar="NAME", help="The data set. Default: the only one that was scored.")
]
Gold = Annotated[
    str | None, typer.Option("--gold", metavar="NAME", help="The annotation. Default: that of the data set.")
]


@configured()
def agree(
    config: "Config", references: References, *, dataset: Dataset = None, gold: Gold = None, json: Json = False
) -> None:
    """Show the agreement between models, from stored predictions: F1 of each pair of models, Fleiss' kappa by label,
    and the highest F1 that a choice of one model per sentence can reach.
    """
    from nerbench.tasks.comparison.agreement import agreement, find_predictions, read_ratings

    predicted = find_predictions(references, config, dataset, gold)
    found = agreement(read_ratings(config.results, predicted))
    about = {"dataset": predicted[0].dataset, "gold": predicted[0].gold}
    if json:
        models = [
            {"reference": reference, "model": one.model, "artifact_id": one.artifact_id, "f1": f1}
            for reference, one, f1 in zip(references, predicted, found.f1, strict=True)
        ]
        print_json(
            about | {"models": models} | {name: getattr(found, name) for name in ("pairs", "labels", "oracle_f1")}
        )
        return
    title = "strict F1 in points, against the annotation and each other model, on " + ", ".join(
        dict.fromkeys(about.values())
    )
    print_table(_matrix(references, found.f1, found.pairs), title=title)
    echo()
    print_table(map(_label, found.labels), title="agreement on words, and the share of entities that the models find")
    if found.oracle_f1 is not None:
        echo(f"\nthe best choice of one model for each sentence has F1 {100 * found.oracle_f1:.2f}")


def _matrix(references: list[str], f1: list[float | None], pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per model, with its number before its name; models head the columns by their numbers."""
    known = {(one[x], one[y]): one["f1"] for one in pairs for x, y in (("a", "b"), ("b", "a"))}
    return [
        {"model": f"{row + 1} {reference}", "F1": _points(f1[row])}
        | {str(other + 1): _points(known.get((row, other))) for other in range(len(references))}
        for row, reference in enumerate(references)
    ]


def _label(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": row["label"],
        "kappa": row["kappa"],
        "any finds": _points(row["any"]),
        "all find": _points(row["all"]),
        "entities": row["support"],
    }


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value
