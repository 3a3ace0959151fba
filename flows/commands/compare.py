"""`nerbench compare`: test whether two models differ, and list the differences."""

import re
import shutil
import sys
import textwrap
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.terminal import echo, print_json, print_table

if TYPE_CHECKING:
    from nerbench.tasks.comparison.compare import Comparison, FlippedOn
    from nerbench.tasks.comparison.flips import Entity, Flip
    from nerbench.tasks.comparison.suspect_gold import SuspectGold
    from nerbench.tasks.config import Config

Row = dict[str, Any]
OVERALL = "overall"
SLICES = ("all", "seen", "unseen")
"""Slices in the printed table, in order."""
COSTS = {
    "p50_s": ("ms per sentence, one by one (median)", 1e3),
    "words_per_s": ("words per second, one by one", 1.0),
    "batch_words_per_s": ("words per second, together", 1.0),
    "load_s": ("seconds to load", 1.0),
    "peak_bytes": ("memory above baseline, MB", 1e-6),
    "cost_per_million_words": ("price of a million words", 1.0),
}
"""The label of each quantity of `tasks/comparison/compare.py`, and the factor that converts it to the label's unit."""
_DIGEST = re.compile("[0-9a-f]{40,64}")

Side = "A stored model: REF for its newest run, REF#RUN_ID or REF#DATE for an earlier run."
Base = Annotated[str, typer.Argument(metavar="BASE", help=Side, autocompletion=complete_reference)]
Candidate = Annotated[str, typer.Argument(metavar="CANDIDATE", help=Side, autocompletion=complete_reference)]
Dataset = Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Compare on this data set only.")]
Gold = Annotated[str | None, typer.Option("--gold", metavar="NAME", help="Compare against this annotation only.")]
Margin = Annotated[float, typer.Option("--margin", min=0, max=100, help="Largest acceptable drop in F1, in points.")]
Confidence = Annotated[
    float, typer.Option("--confidence", min=0.5, max=0.999, help="Confidence level of the intervals.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Also exit with status 1 if the verdict is `undecided`.")]
Flips = Annotated[
    int, typer.Option("--flips", min=0, metavar="N", help="Number of flipped entities to show for each kind.")
]


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
    """Compare two models, or one model on two dates, by stored predictions. A regression exits with status 1."""
    from nerbench.artifacts.errors import InputError
    from nerbench.tasks.comparison.compare import Query
    from nerbench.tasks.comparison.compare import compare as compare_sides

    found = compare_sides(base, candidate, config, Query(dataset, gold, margin, confidence))
    if json:
        print_json(found.to_json())
    elif found.verdict:
        show(found, shown)
    if found.verdict is None:
        remedy = "choose what both have with --dataset or --gold, or benchmark them on the same words and annotation"
        raise InputError(f"{base} and {candidate}", f"are not comparable: {'; '.join(found.reasons)}", remedy)
    if found.verdict == "regression" or (strict and found.verdict == "undecided"):
        raise typer.Exit(1)


def show(found: "Comparison", shown: int) -> None:
    """Print verdict, differences, flips with their sentences, and environments as text."""
    from nerbench.tasks.comparison.quality_gate import in_words

    for name, side in (("base", found.base), ("candidate", found.candidate)):
        echo(f"{name:9}  {side.model}@sha256:{side.artifact_id[:12]} of {side.date}")
        echo(f"{'':9}  run {side.run_id}")
    echo(f"{'verdict':9}  {found.verdict}")
    for row in found.primary:
        wrapped(f"{_place(row['dataset'], row['gold'])}: {in_words(row)}{_evidence(row)}")
    for line in (*found.reasons, found.compared):
        wrapped(line)
    for one in found.flipped:
        title = f"{_place(one.dataset, one.gold)}, strict, in points; p of labels adjusted by Holm's method"
        rows = [row for row in found.deltas if (row["dataset"], row["gold"]) == (one.dataset, one.gold)]
        echo()
        shown_rows = map(_delta, sorted(filter(_is_shown, rows), key=_order))
        print_table(shown_rows, title=title, optional=("entities", "base", "candidate", "p"))
        _show_flips(one, shown)
        if one.suspect_gold:
            _show_support(one.suspect_gold)
    if found.costs:
        echo()
        print_table(map(_cost, found.costs), title="cost")
    if found.environment:
        echo("\nenvironments differ")
    for name, pair in found.environment.items():
        wrapped(f"{name}: {_short(pair['base'])} → {_short(pair['candidate'])}", indent=2)


def wrapped(text: str, indent: int = 11) -> None:
    """Print a paragraph wrapped to the terminal, or as one line (for grep) if stdout is not a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    margin = " " * indent
    echo(textwrap.fill(text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False))


def _place(dataset: str, gold: str) -> str:
    return dataset if gold == dataset else f"{dataset} against {gold}"


def _evidence(row: Row) -> str:
    found = "" if row["p_value"] is None else f", p = {row['p_value']:.4f}"
    if row["detectable"]:
        found += f"; the smallest detectable difference is {100 * row['detectable']:.2f} points"
    return found + (f" ({row['reason']})" if row["reason"] else "")


def _is_shown(row: Row) -> bool:
    """Whether to print a row: overall precision and recall, F1 of all labels, and F1 of seen and unseen entities."""
    is_strict = row["mode"] == "strict" and row["average"] in {"", "micro"}
    is_first = row["label"] == OVERALL and row["slice"] == "all"
    return is_strict and row["slice"] in SLICES and (is_first or row["metric"] == "f1")


def _order(row: Row) -> tuple[int, bool, int, str]:
    is_label, metric = row["label"] != OVERALL, ("f1", "precision", "recall").index(row["metric"])
    return SLICES.index(row["slice"]), is_label, metric, row["label"]


def _delta(row: Row) -> dict[str, Any]:
    points = {
        header: None if row[name] is None else 100 * row[name]
        for header, name in (
            *(("base", "base"), ("candidate", "candidate"), ("delta", "delta")),
            *((f"{row['confidence']:.0%} from", "ci_low"), ("to", "ci_high")),
        )
    }
    words = (row["metric"].replace("f1", "F1"), *(row[name] for name in ("slice", "label")))
    return {
        "": " ".join(word for word in words if word not in {"all", OVERALL}),
        **points,
        "p": "" if row["p_adjusted"] is None else f"{row['p_adjusted']:.4f}",
        "entities": row["support"],
    }


def _cost(row: Row) -> dict[str, Any]:
    name, factor = COSTS[row["quantity"]]
    values = {side: None if row[side] is None else f"{factor * row[side]:,.4g}" for side in ("base", "candidate")}
    base, candidate = row["base"], row["candidate"]
    return {"": name, **values, "ratio": f"{candidate / base:.2f}" if base and candidate is not None else ""}


def _show_flips(one: "FlippedOn", shown: int) -> None:
    from nerbench.tasks.comparison.flips import KINDS

    counts = {kind: one.flips.n(kind) for kind in KINDS}
    echo(f"\nentities: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
    for kind, n in counts.items():
        for flip in islice((flip for flip in one.flips if flip.kind == kind), shown):
            wrapped(f"{kind} {_flip(flip)}, sentence {flip.sentence}", indent=2)
            if flip.sentence_text:
                wrapped(_marked(flip), indent=4)
        if n > shown:
            echo(f"  … and {n - shown} more {kind}; see --flips or --json")


def _show_support(found: "SuspectGold") -> None:
    n_suspect = found.suspect_lost + found.suspect_gained + found.suspect_changed
    echo(
        f"the gold supports base in {found.supports_base} flips, the candidate in {found.supports_candidate}, "
        f"neither in {found.supports_neither}; it is suspect in {n_suspect} ({found.suspect_lost} lost, "
        f"{found.suspect_gained} gained, {found.suspect_changed} changed)"
    )
    if found.delta is not None and found.delta_without_suspects is not None:
        echo(
            f"without the suspect regions ({found.n_suspects}), F1 differs by "
            f"{100 * found.delta_without_suspects:+.2f} points instead of {100 * found.delta:+.2f}"
        )


def _flip(flip: "Flip") -> str:
    """`PER Anna Berg: PER Anna → PER`: the entity, then both predictions, with their words only if they differ."""
    words = _words(flip)

    def listed(found: "tuple[Entity, ...]") -> str:
        return ", ".join(map(entity, found)) or "nothing"

    def entity(one: "Entity") -> str:
        if (one.start, one.end) == (flip.start, flip.end):
            return one.type
        return f"{one.type} {' '.join(words[one.start : one.end]) if words else f'{one.start}:{one.end}'}"

    name = flip.text or f"{flip.start}:{flip.end}"
    name = f"{name} (gold {listed(flip.gold)})" if flip.kind == "changed" else f"{flip.label} {name}"
    return f"{name}: {listed(flip.base)} → {listed(flip.candidate)}"


def _marked(flip: "Flip") -> str:
    """The sentence with [brackets] around the words of the flip."""
    words = _words(flip)
    if not words:
        return str(flip.sentence_text)
    entity = f"[{' '.join(words[flip.start : flip.end])}]"
    return " ".join([*words[: flip.start], entity, *words[flip.end :]])


def _words(flip: "Flip") -> list[str]:
    """The words of the sentence; none if they are unknown or contain blanks."""
    words = (flip.sentence_text or "").split(" ")
    return words if " ".join(words[flip.start : flip.end]) == flip.text else []


def _short(value: Any) -> str:
    """The first digits of a digest."""
    text = "nothing" if value in (None, "") else str(value)
    return text[:12] if _DIGEST.fullmatch(text) else text
