"""`nerbench inspect-data`: content and problems of the data sets."""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nerbench.flows.commands.completion import complete_reference
from nerbench.flows.commands.options import Json, configured
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import console, echo, print_json, print_note, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import Config
    from nerbench.tasks.inspection.facts import DatasetFacts, Inspection, Overlap, SplitFacts
    from nerbench.tasks.inspection.tokenizer_fit import Tokenization

Row = dict[str, Any]

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Files or a folder to inspect instead of the configured data sets."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="REF",
        help="Also count tokens with this model's tokenizer and context window.",
        autocompletion=complete_reference,
    ),
]


@configured()
def inspect_data(config: "Config", files: Files = None, *, model: Model = None, json: Json = False) -> None:
    """Inspect data: labels, lengths, scheme, invalid tags, duplicates, overlap of splits, suspicious characters."""
    quiet()
    from nerbench.tasks.config.loading import absolute_reference
    from nerbench.tasks.inspection.inspection import inspect

    config = _with_files(config, files)
    tokenization = _tokenization(absolute_reference(model), config) if model else None
    with show_progress("reading"):
        logging.getLogger("nerbench.progress").info("reading %s", ", ".join(one.name for one in config.datasets))
        found = inspect(config, tokenization)
    if json:
        print_json(found.as_dict())
    else:
        show(found)


def _with_files(config: "Config", files: Sequence[str] | None) -> "Config":
    from nerbench.tasks.data.demo import prepare_demo

    if files:
        from nerbench.tasks.inspection.guess_dataset import guess

        guessed = guess(files)
        for line in guessed.assumptions:
            print_note(line)
        return config.model_copy(update={"datasets": (guessed.dataset,), "golds": ()})
    if not config.datasets:
        from nerbench.artifacts.errors import ConfigError

        raise ConfigError("datasets", "there is no corpus to look at", "add one, or name its files")
    prepare_demo(config)
    return config


def _tokenization(reference: str, config: "Config") -> "Tokenization":
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.inspection.tokenizer_fit import tokenization_of

    return tokenization_of(resolve_one(reference, config.store), config.benchmark.max_length)


def show(found: "Inspection") -> None:
    """Print the findings, then the tables."""
    for number, dataset in enumerate(found.datasets):
        if number:
            echo()
        types = ", ".join(dataset.types) or "none"
        _line(f"{dataset.name}: {dataset.format}, scheme {dataset.scheme}, entity types {types}")
        if tokenizer := dataset.splits[0].tokenizer:
            _line(f"texts are split into words by the tokenizer {tokenizer}")
        if dataset.division:
            _line(f"split: {dataset.division}")
        for note in dataset.notes:
            _line(f"! {note}")
        echo()
        _tables(dataset)


def _line(text: str) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(text), soft_wrap=not screen.is_terminal)


def _tables(dataset: "DatasetFacts") -> None:
    optional = ("distinct words", "without entity", "documents", "repeated")
    print_table(map(_split_row, dataset.splits), title="splits", optional=optional)
    echo()
    less = [f"{split.split}{kind}" for kind in (" %", " seen %") for split in dataset.splits]
    title = "entities; seen: share that also occurs in train with the same type"
    print_table(_label_rows(dataset.splits), title=title, optional=less)
    for title, rows in (
        ("sentences that also occur in another split", map(_overlap_row, dataset.overlaps)),
        ("invalid tags", _invalid_rows(dataset)),
        ("tokens", _token_rows(dataset)),
    ):
        if found := list(rows):
            echo()
            print_table(found, title=title, optional=("tokens/word", "p90", "unknown words"))


def _split_row(split: "SplitFacts") -> Row:
    return {
        "split": split.split,
        "documents": split.documents,
        "sentences": split.sentences,
        "words": split.words,
        "distinct words": split.distinct_words,
        "entities": split.entities,
        "without entity": split.without_entity,
        "median": split.lengths.median,
        "p99": split.lengths.p99,
        "longest": split.lengths.greatest,
        "repeated": split.duplicates,
    }


def _overlap_row(one: "Overlap") -> Row:
    shares = {"%": 100 * one.sentence_share, "entities": one.entities, "% of entities": 100 * one.entity_share}
    return {"split": one.split, "in": one.earlier, "sentences": one.sentences, **shares}


def _label_rows(splits: Sequence["SplitFacts"]) -> Iterator[Row]:
    for position, first in enumerate(splits[0].labels):
        row: Row = {"label": first.label}
        for split in splits:
            label = split.labels[position]
            row |= {split.split: label.entities, f"{split.split} %": 100 * label.share}
            if label.seen is not None:
                row[f"{split.split} seen %"] = 100 * label.seen / label.entities if label.entities else None
        yield row


def _invalid_rows(dataset: "DatasetFacts") -> Iterator[Row]:
    for split in dataset.splits:
        for one in split.invalid:
            tags = f"{one.before} → {one.tag}"
            yield {"split": split.split, "tags": tags, "count": one.count, "first": one.place}


def _token_rows(dataset: "DatasetFacts") -> Iterator[Row]:
    for split in dataset.splits:
        if tokens := split.tokens:
            yield {
                "split": split.split,
                "tokenizer": tokens.tokenizer,
                "max_length": tokens.max_length,
                "tokens/word": tokens.tokens_per_word,
                "median": tokens.lengths.median,
                "p90": tokens.lengths.p90,
                "longest": tokens.lengths.greatest,
                "longer sentences": tokens.longer_sentences,
                "longer words": tokens.longer_words,
                "unknown words": tokens.unknown_words,
            }
