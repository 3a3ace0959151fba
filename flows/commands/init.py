"""`nerbench init`: inspect a data set and write a commented configuration for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.flows.commands.options import Quiet, Verbose, tell
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.terminal import ask, print_note, print_table

if TYPE_CHECKING:
    from nerbench.tasks.config import DatasetConfig
    from nerbench.tasks.inspection.facts import DatasetFacts

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|FOLDER|HUB_ID|KEY=VALUE",
        help="The data: files, a folder or a Hub id; or `train=FILE dev=FILE test=FILE`, or `all=FILE` to divide it. "
        "Other keys of a data set, such as `columns.tags=2`, are not guessed. Default: ./data if it exists, otherwise "
        "this folder.",
    ),
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The configuration file to write.")]
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="MODEL", help="A pretrained model to fine-tune: a folder or a Hub id."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]


def init(  # noqa: PLR0913 - one parameter an option
    sources: Sources = None,
    *,
    output: Output = Path("nerbench.yaml"),
    base: Base = None,
    force: Force = False,
    quiet_: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Inspect your data and write a commented configuration for it."""
    tell(quiet=quiet_, verbose=verbose)
    quiet()
    _check_output(output, force)
    from nerbench.artifacts.storage.paths import write_whole
    from nerbench.tasks.inspection.config_writer import configuration_for
    from nerbench.tasks.inspection.guess_dataset import guess
    from nerbench.tasks.inspection.inspection import inspect_dataset
    from nerbench.tasks.inspection.missing_splits import hold_out

    guessed = guess(sources or [], ask, _default())
    with show_progress("reading"):
        held_out = hold_out(guessed.dataset)
        facts = inspect_dataset(held_out.dataset)
    dataset = _with_shown_paths(held_out.dataset)
    written = configuration_for(dataset, facts, base)
    _check(written.text, output)
    write_whole(output, [written.text.encode()])
    for line in (*guessed.assumptions, *held_out.assumptions, *facts.notes):
        print_note(f"! {line}")
    _show(facts)
    print_note(f"{output} is written; {written.next}")
    print_note("`nerbench inspect-data` shows more details of the data")


def _check_output(output: Path, force: bool) -> None:
    from nerbench.artifacts.errors import InputError

    if output.is_dir():
        raise InputError(f"-o {output}", "is a folder", "name a file in it, e.g. nerbench.yaml")
    if output.exists() and not force:
        raise InputError(f"-o {output}", "exists already", "choose another name, or overwrite it with --force")
    if not output.parent.is_dir():
        raise InputError(f"-o {output}", f"there is no folder {output.parent}", "make it first")


def _default() -> str:
    return "data" if Path("data").is_dir() else "."


def _with_shown_paths(dataset: "DatasetConfig") -> "DatasetConfig":
    from nerbench.tasks.inspection.config_writer import shown_path

    files = {split: file if "://" in file else shown_path(file) for split, file in dataset.files.items()}
    return dataset.model_copy(update={"files": files})


def _check(text: str, output: Path) -> None:
    """Validate the generated text: an error here is a bug in nerbench, not a mistake of the user."""
    from nerbench.tasks.config import Config
    from nerbench.tasks.config.yaml_file import parse_mapping

    Config.model_validate(parse_mapping(text, str(output)))


def _show(facts: "DatasetFacts") -> None:
    print_table(
        {
            "split": split.split,
            "sentences": split.sentences,
            "words": split.words,
            "longest": split.lengths.greatest,
            **{label.label: label.entities for label in split.labels},
        }
        for split in facts.splits
    )
