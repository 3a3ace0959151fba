"""`nerbench suspects`: rank annotations that are probably wrong, export them, and import the decisions on them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from nerbench.flows.commands.options import Json, configured, pick_dataset
from nerbench.flows.terminal import echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config
    from nerbench.tasks.data.corpus_refs import CorpusRef
    from nerbench.tasks.scoring.metrics import Row


class _Ranking(TyperGroup):
    """A group whose command is `rank` if none is named: `nerbench suspects --dataset D`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        names_none = not args or (args[0].startswith("-") and args[0] not in ("--help", "-h"))
        return super().parse_args(ctx, ["rank", *args] if names_none and not ctx.resilient_parsing else args)


app = typer.Typer(
    cls=_Ranking, help="Rank annotations that are probably wrong, and decide on them (`rank` is the default)."
)


class AnnotationTool(StrEnum):
    """The annotation tools for which tasks are written."""

    doccano = "doccano"
    label_studio = "label-studio"
    prodigy = "prodigy"


Dataset = Annotated[
    str | None, typer.Option("--dataset", metavar="NAME", help="The data set. Default: the only one of the file.")
]
Gold = Annotated[
    str | None, typer.Option("--gold", metavar="NAME", help="The annotation. Default: that of the data set.")
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="REF",
        help="Use the stored predictions of this model; repeatable. Default: all models of the benchmark.",
    ),
]
Shown = Annotated[int, typer.Option("--top", min=0, metavar="N", help="Number of suspects to print.")]
Top = Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Export only the N most suspect sentences.")]
For = Annotated[AnnotationTool, typer.Option("--tool", help="The annotation tool that reads the file.")]
Target = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="The export of Doccano, Label Studio or Prodigy. A path or a URL.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


@app.command()
@configured("datasets")
def rank(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    *,
    dataset: Dataset = None,
    gold: Gold = None,
    models: Models = None,
    top: Shown = 20,
    json: Json = False,
) -> None:
    """Rank spans of an annotation that are probably wrong, by stored predictions, and write the table `suspects`.

    Each has a proposed correction and its evidence: the models that predict it, and how often its strings are annotated
    otherwise in the document, in the split and in the train split. No model is run.
    """
    from nerbench.tasks.data.demo import prepare_demo
    from nerbench.tasks.results.query import PROBABLE
    from nerbench.tasks.run_identity import utc_now
    from nerbench.tasks.suspects.suspects import find_suspects

    prepare_demo(config)
    found = find_suspects(config, pick_dataset(config, dataset), gold, models or (), utc_now())
    if json:
        about = {"dataset": found.annotation.dataset.name, "gold": found.annotation.gold_name, "models": found.models}
        print_json(about | {"suspects": found.rows})
        return
    print_table(map(_shown, found.rows[:top]))
    probable = sum(row["score"] >= PROBABLE for row in found.rows)
    print_note(
        f"suspects found by {', '.join(found.models)}: {len(found.rows):,}; more likely wrong than right: {probable:,}"
    )
    if found.without:
        print_note(f"without stored predictions of these words: {', '.join(found.without)}")


def _shown(row: "Row") -> "Row":
    from nerbench.tasks.suspects.wording import in_words

    gold, proposed, why = in_words(row)
    place = f"{row['sentence']}:{row['start']}"
    return {
        "score": row["score"],
        "at": place,
        "text": row["text"],
        "gold": gold,
        "proposed": proposed,
        "evidence": why,
    }


@app.command()
@configured("datasets")
def export(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    *,
    output: Target,
    tool: For = AnnotationTool.doccano,
    dataset: Dataset = None,
    gold: Gold = None,
    top: Top = None,
    force: Force = False,
) -> None:
    """Write the newest ranking as tasks of an annotation tool, one sentence each, with the proposed corrections."""
    from itertools import islice

    from nerbench.artifacts.errors import InputError
    from nerbench.artifacts.storage.paths import write_whole
    from nerbench.tasks.data.corpus_refs import open_corpus
    from nerbench.tasks.results.export import check_target
    from nerbench.tasks.results.query import newest_suspects
    from nerbench.tasks.suspects.exports import export as exported
    from nerbench.tasks.suspects.exports import tasks_of

    check_target("-o", output, force=force)
    annotation = _annotation(config, dataset, gold)
    rows = newest_suspects(config.results, annotation.words_sha256, annotation.gold_sha256)
    if not rows:
        raise InputError(f"gold {annotation.gold_name}", "has no ranking", "run `nerbench suspects` first")
    tasks = list(islice(tasks_of(rows, open_corpus(annotation)), top))
    write_whole(output, exported(tasks, tool.value))
    print_note(f"{output}: {len(tasks):,} sentences for {tool.value}; next: nerbench suspects import")


@app.command(name="import")
@configured("datasets")
def import_file(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    file: File,
    *,
    output: Target,
    dataset: Dataset = None,
    gold: Gold = None,
    force: Force = False,
) -> None:
    """Write an annotation with the decisions of an annotation tool, as a CoNLL file for `golds`.

    Reviewed sentences get the entities of the file; all others keep those of the annotation.
    """
    from nerbench.artifacts.errors import InputError
    from nerbench.artifacts.storage.paths import write_whole
    from nerbench.tasks.data.corpus_refs import open_corpus
    from nerbench.tasks.results.export import check_target
    from nerbench.tasks.suspects.decisions import conll_lines, read_decisions

    check_target("-o", output, force=force)
    annotation = _annotation(config, dataset, gold)
    chosen, corpus = annotation.dataset, open_corpus(annotation)
    if chosen.delimiter == "pipe":
        raise InputError(f"data set {chosen.name}", "has `delimiter: pipe`", "convert it to one word per line")
    decisions = read_decisions(file, corpus)
    separator = "\t" if chosen.delimiter == "tab" else " "
    encoding = chosen.encoding if chosen.format == "conll" else "utf-8"  # as `golds` reads the file
    write_whole(output, (line.encode(encoding) for line in conll_lines(corpus, decisions, separator)))
    changed = sum(tags != corpus.tags[number] for number, tags in decisions.tags.items())
    print_note(f"{len(decisions.tags):,} sentences decided, {changed:,} of them changed; {decisions.n_open:,} open")
    described = f"name: reviewed, dataset: {chosen.name}, file: {output}, format: conll"
    echo(f"golds: [{{{described}, columns: {{words: 0, tags: 1}}, scheme: iob2}}]")


def _annotation(config: "Config", dataset: str | None, gold: str | None) -> "CorpusRef":
    from nerbench.tasks.data.demo import prepare_demo
    from nerbench.tasks.suspects.suspects import pick_annotation

    prepare_demo(config)
    return pick_annotation(config, pick_dataset(config, dataset), gold)
