"""`nerbench predictions`: import predictions of other tools, or store the vote of several models."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.agree import References
from nerbench.flows.commands.options import Json, configured, pick_dataset
from nerbench.flows.terminal import print_json, print_note

if TYPE_CHECKING:
    from nerbench.tasks.config import Config
    from nerbench.tasks.data.corpus import Corpus
    from nerbench.tasks.inference.import_predictions import Imported

app = typer.Typer(help="Import predictions of other tools, or store the vote of several models.", no_args_is_help=True)


class Format(StrEnum):
    """The formats of a file of predictions."""

    conll = "conll"
    parquet = "parquet"
    json = "json"


File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="CoNLL text with the predicted tag in the last column, Parquet, JSON lines with tags or spans, the output "
        "of `predict --json`, or an export of the table `predictions`. A path or a URL.",
    ),
]
Model = Annotated[str, typer.Option("--model", metavar="NAME", help="The name of the model in store and results.")]
Dataset = Annotated[
    str | None,
    typer.Option("--dataset", metavar="NAME", help="The predicted data set. Default: the only one of the file."),
]
Split = Annotated[
    str | None, typer.Option("--split", metavar="NAME", help="The predicted split. Default: `benchmark.split`.")
]
FileFormat = Annotated[
    Format | None, typer.Option("--format", help="Format of the file. Default: by its ending, otherwise CoNLL.")
]
LabelMap = Annotated[
    str | None,
    typer.Option(
        "--label-map",
        metavar="A=B,C=D",
        help="Entity types to rename when scored, e.g. PERSON=PER,DATE=O; O ignores one.",
    ),
]


@app.command(name="import")
@configured("datasets")
def import_file(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    file: File,
    model: Model,
    *,
    dataset: Dataset = None,
    split: Split = None,
    format: FileFormat = None,
    label_map: LabelMap = None,
    json: Json = False,
) -> None:
    """Store predictions as a model for `benchmark`, `compare`, gates and reports.

    The words must be those of the corpus. Imported predictions have no speed. Tags are stored unchanged: an invalid
    `I-` tag is not repaired.
    """
    from nerbench.artifacts.store import Store
    from nerbench.tasks.data.corpus import load_splits, pick_split
    from nerbench.tasks.data.demo import prepare_demo
    from nerbench.tasks.inference.import_predictions import import_predictions

    renamed = _mapping(label_map)
    prepare_demo(config)
    chosen = pick_dataset(config, dataset)
    corpus = pick_split(load_splits(chosen), split or config.benchmark.split, chosen)
    found = import_predictions(
        file,
        model,
        corpus,
        Store(config.store),
        format=format.value if format else None,
        scheme="io" if chosen.scheme == "io" else "auto",
        label_map=renamed,
    )
    _finish(config, corpus, found, json)


@app.command()
@configured("datasets")
def ensemble(
    config: "Config", references: References, *, model: Model, dataset: Dataset = None, json: Json = False
) -> None:
    """Store the vote of several models as a model for `benchmark`, `compare`, gates and reports.

    It has the entities that more than half of the models predict, from their stored predictions. Store it again after
    one of the models has changed.
    """
    from nerbench.artifacts.store import Store
    from nerbench.tasks.comparison.agreement import find_predictions
    from nerbench.tasks.comparison.ensembles import import_ensemble
    from nerbench.tasks.data.corpus import load_splits
    from nerbench.tasks.data.demo import prepare_demo

    prepare_demo(config)
    chosen = pick_dataset(config, dataset)
    predicted = find_predictions(references, config, chosen.name, None)
    corpus = load_splits(chosen)[predicted[0].split]
    _finish(config, corpus, import_ensemble(predicted, model, corpus, Store(config.store), config.results), json)


def _finish(config: "Config", corpus: "Corpus", found: "Imported", json: bool) -> None:
    """Put imported predictions in the cache of evaluations, and print what was stored."""
    from nerbench.tasks.inference.evaluation_cache import carry_out, plan

    ref = found.artifact
    carry_out(plan(ref, corpus.words_sha256, config.benchmark, config.results), ref, corpus, config.results)
    if json:
        print_json({"name": ref.name, "artifact_id": ref.artifact_id, "uri": ref.uri, "n_invalid": found.n_invalid})
        return
    types = ", ".join(found.entity_types) or "none"
    read = f"{found.words:,} words of {corpus.name}, {corpus.split}, tags read as {found.scheme.upper()}"
    print_note(f"{read}; entity types: {types}")
    if found.n_invalid:
        print_note(f"{found.n_invalid:,} tags continue no entity of their type, and stay as they are")
    print_note(f"stored as {ref.exact_name}; next: nerbench benchmark {ref.name}")


def _mapping(text: str | None) -> dict[str, str]:
    from nerbench.artifacts.errors import ConfigError

    found = {}
    for part in (text or "").split(","):
        old, marked, new = (piece.strip() for piece in part.partition("="))
        if marked and old and new:
            found[old] = new
        elif part.strip():
            raise ConfigError("--label-map", f"{part!r} renames nothing", "write e.g. PERSON=PER,GPE=LOC")
    return found
