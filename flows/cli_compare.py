"""`nerbench compare`: did anything really change, and what?"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.options import Json, configured
from flows.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from tasks.comparison.compare import Comparison, FlippedOn
    from tasks.comparison.flips import Entity
    from tasks.config import Config

Side = "REF, REF#RUN_ID or REF#DATE: a stored model, or what it was in a run."
Base = Annotated[str, typer.Argument(metavar="BASE", help=Side)]
Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help=Side)]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="This data set alone.")]
Gold = Annotated[str | None, typer.Option("--gold", metavar="NAME", help="The annotation that decides.")]
Margin = Annotated[float, typer.Option("--margin", min=0, max=100, help="Points that F1 may fall.")]
Confidence = Annotated[float, typer.Option("--confidence", min=0.5, max=0.999, help="Of the intervals.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit status 1 where the data cannot tell, too.")]
Flips = Annotated[int, typer.Option("--flips", min=0, metavar="N", help="Flips shown of each kind.")]


@configured()
def compare(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    base: Base,
    candidate: Candidate,
    *,
    dataset: Dataset = None,
    gold: Gold = None,
    margin: Margin = 0.5,
    confidence: Confidence = 0.95,
    strict: Strict = False,
    shown: Flips = 5,
    json: Json = False,
) -> None:
    """Compare two models, or one on two dates, from stored predictions; exit status 1 on a regression."""
    from artifacts.errors import InputError
    from tasks.comparison.compare import Asked
    from tasks.comparison.compare import compare as compare_sides

    found = compare_sides(base, candidate, config, Asked(dataset, gold, margin, confidence))
    if json:
        print_json(found.to_json())
    elif found.verdict:
        show(found, shown)
    if found.verdict is None:
        raise InputError(f"{base} and {candidate}", f"are not comparable: {'; '.join(found.reasons)}", "see `--help`")
    if found.verdict == "regression" or (strict and found.verdict == "inconclusive"):
        raise typer.Exit(1)


def show(found: "Comparison", shown: int) -> None:
    """For people: verdict, table of deltas, flips with their sentences, environments."""
    from tasks.comparison.gate import in_words

    for name, side in (("base", found.base), ("candidate", found.candidate)):
        print(f"{name:9} {side.model}@sha256:{side.artifact_id[:12]} in the run {side.run_id} of {side.date}")
    print("          two artifacts are compared, not two recipes: another seed of either may differ by more\n")
    for row in found.primary:
        least = "" if row["detectable"] is None else f"; this pair would show {100 * row['detectable']:.2f} points"
        print(f"{row['dataset']} against {row['gold']}: {in_words(row)}, p = {row['p_value']:.4f}{least}")
    print(f"verdict: {found.verdict}")
    for reason in found.reasons:
        print(f"  {reason}")
    for one in found.flipped:
        rows = [row for row in found.deltas if (row["dataset"], row["gold"]) == (one.dataset, one.gold)]
        print()
        print_table(map(_delta, filter(_is_shown, rows)), title=f"{one.dataset} against {one.gold}, strict, in points")
        _show_flips(one, shown)
    if found.environment:
        print_table(
            [{"environment": name} | sides for name, sides in found.environment.items()], title="environments differ"
        )


def _is_shown(row: dict[str, Any]) -> bool:
    return row["mode"] == "strict" and row["slice"] in {"all", "seen", "unseen"} and row["average"] in {"", "micro"}


def _delta(row: dict[str, Any]) -> dict[str, Any]:
    points = {name: None if row[name] is None else 100 * row[name] for name in ("base", "candidate", "delta")}
    interval = "" if row["ci_low"] is None else f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    tested = {"p": row["p_value"], "p (Holm)": row["p_adjusted"]}
    return {
        **{name: row[name] for name in ("slice", "label", "metric")},
        **points,
        f"{row['confidence']:.0%} CI": interval,
        **{name: None if p is None else f"{p:.4f}" for name, p in tested.items()},
        "entities": row["support"],
    }


def _show_flips(one: "FlippedOn", shown: int) -> None:
    kinds = {kind: [flip for flip in one.flips if flip.kind == kind] for kind in ("gained", "lost", "changed")}
    print(f"\nentities: {', '.join(f'{len(flips)} {kind}' for kind, flips in kinds.items())}")
    for kind, flips in kinds.items():
        for flip in flips[:shown]:
            before, after = _entities(flip.base), _entities(flip.candidate)
            print(f"  {kind} {flip.label} {flip.text or ''} ({before} → {after}), sentence {flip.sentence}")
            if flip.sentence_text:
                print(f"    {flip.sentence_text}")
        if len(flips) > shown:
            say(f"  … and {len(flips) - shown} more {kind}; see --flips or --json")


def _entities(found: "tuple[Entity, ...]") -> str:
    return ", ".join(f"{one.type}[{one.start}:{one.end}]" for one in found) or "none"
