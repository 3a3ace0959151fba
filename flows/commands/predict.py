"""`nerbench predict`: tag a sentence, a file or standard input with a model."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nerbench.artifacts.errors import InputError
from nerbench.flows.commands.options import Reference, configured
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.python_gc import importing
from nerbench.flows.terminal import console, print_json, print_note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nerbench.tasks.config import Config
    from nerbench.tasks.predicting.tagging import TaggedSentence
    from nerbench.tasks.predicting.text_reading import Opened

COLOURS = ("black on bright_cyan", "black on bright_green", "black on bright_yellow", "black on bright_magenta")
"""Colours of entity types in order of appearance, reused cyclically."""
_SUFFIX = 6
"""Longest file extension, in characters, by which an argument is recognised as a file name."""


class Format(StrEnum):
    """How text is split into words."""

    text = "text"
    words = "words"
    conll = "conll"


class Mode(StrEnum):
    """How invalid IOB2 tags are decoded."""

    strict = "strict"
    conlleval = "conlleval"


Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT|FILE|-", help="A sentence, a file (one sentence per line, or CoNLL text), or - for stdin."
    ),
]
File = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE|URL|-", help="Read this file, even if its name looks like text."),
]
Read = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="text: split at white space and punctuation; words: split at white space only; conll: one word per line.",
    ),
]
Encoding = Annotated[str, typer.Option("--encoding", metavar="NAME", help="Text encoding of the file or of stdin.")]
Reading = Annotated[
    Mode, typer.Option("--mode", help="With conlleval, an I- tag without a preceding B- starts an entity.")
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print one JSON object per sentence, with the position of each word.")
]


@configured()
def predict(  # noqa: PLR0913 - one parameter an option
    config: "Config",
    reference: Reference,
    texts: Texts = None,
    *,
    file: File = None,
    format: Read = None,
    encoding: Encoding = "utf-8",
    mode: Reading = Mode.strict,
    json: JsonLines = False,
) -> None:
    """Tag text with a model and highlight entities with their type and probability.

    Inference and tag decoding are those of a benchmark: the same words get the same tags. Text is split into words at
    white space and around punctuation; with `--format words`, at white space only.
    """
    quiet()
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.config.loading import absolute_reference
    from nerbench.tasks.inference.evaluation_key import settings_of
    from nerbench.tasks.inference.tagger_handles import tagger_handle
    from nerbench.tasks.predicting.tagging import tag_with

    source = _source(texts or [], file, format, _known(encoding))
    with show_progress("loading the model"), importing():
        artifact = resolve_one(absolute_reference(reference), config.store)
        # The process ends after the last sentence. To release the model's memory first would take half a second.
        handle = tagger_handle(artifact, settings_of(config.benchmark))
        found = _with_progress(tag_with(handle, source.sentences, config.benchmark, mode.value), source.n_bytes)
        first = next(found)  # loads the model
    shown_apart = json or not sys.stdout.isatty()
    with show_progress("tagging") if shown_apart else nullcontext():
        _print(first, found, json)


def _source(texts: list[str], file: str | None, format: Format | None, encoding: str) -> "Opened":
    from nerbench.tasks.predicting.text_reading import STANDARD_INPUT, Opened, open_source, text, words

    if file is not None and texts:
        raise InputError("--file", "cannot be combined with a TEXT", "give one of them")
    given = " ".join(texts)
    if file is None and len(texts) == 1 and (given == STANDARD_INPUT or _is_file(given) or _is_url(given)):
        file = given
    if file is not None:
        opened = open_source(file, format.value if format else None, encoding)
        if format is None and opened.format == "conll":
            column = f"column {opened.column + 1}" if opened.column else "the first column"
            print_note(f"{opened.name} is read as CoNLL text, its words from {column}; --format text reads lines")
        return opened
    _check_text(given, texts)
    sentences = (words if format is Format.words else text)(given.splitlines())
    return Opened("the text", "text", sentences, None)


def _is_file(text: str) -> bool:
    """Whether the file exists. A text that is too long for a name or contains a NUL names no file."""
    return os.path.isfile(text)  # noqa: PTH113 - Path.is_file raises for such a text


def _is_url(text: str) -> bool:
    return "://" in text and not any(character.isspace() for character in text)


def _check_text(given: str, texts: list[str]) -> None:
    """Refuse a text that was probably meant as a file: a folder, or a single word with the prefix or suffix of a file
    name."""
    remedy = "name an existing file with --file, or write a sentence in quotes"
    if not given.strip():
        raise InputError("TEXT", "is empty", "write a sentence in quotes, name a file, or give - for stdin")
    if len(texts) > 1 or any(character.isspace() for character in given):
        return
    path = Path(given)
    if os.path.isdir(given):  # noqa: PTH112
        raise InputError(given, "is a folder", remedy)
    is_named_so = 1 < len(path.suffix) <= _SUFFIX and path.suffix[1:].isalnum() and path.suffix[1:].islower()
    if given.startswith(("/", "./", "../", "~")) or is_named_so:
        raise InputError(given, "there is no such file", remedy)


def _known(encoding: str) -> str:
    import codecs

    try:
        codecs.lookup(encoding)
    except LookupError:
        raise InputError("--encoding", f"{encoding!r} is not known", "give e.g. utf-8 or latin-1") from None
    return encoding


def _with_progress(found: "Iterator[TaggedSentence]", n_bytes: int | None) -> "Iterator[TaggedSentence]":
    """The same sentences, with progress output: the rate and, if the size is known, the remaining time."""
    from nerbench.tasks.progress import EVERY_S, at_most_every, clock

    started, log = time.monotonic(), logging.getLogger("nerbench.progress")
    n_words = done = 0

    def log_progress(n_sentences: int) -> None:
        elapsed = max(time.monotonic() - started, 1e-9)
        share = min(1.0, done / n_bytes) if n_bytes else 0.0
        left = f", {clock(elapsed * (1 - share) / share)} left" if share else ""
        sentences = f"{n_sentences} sentence{'' if n_sentences == 1 else 's'}"
        log.info("tagging: %s, %.0f words per second%s", sentences, n_words / elapsed, left)

    log_sometimes = at_most_every(EVERY_S, log_progress)
    for number, tagged in enumerate(found, start=1):
        n_words += len(tagged.tags)
        done += len(tagged.sentence.text.encode()) + 1
        log_sometimes(number)
        yield tagged


def _print(first: "TaggedSentence", others: "Iterator[TaggedSentence]", json: bool) -> None:
    screen = console()
    styles: dict[str, str] = {}
    n_sentences = n_entities = 0
    for tagged in chain([first], others):
        n_sentences += 1
        n_entities += len(tagged.entities)
        if json:
            print_json(tagged.to_json())
        else:
            screen.print(highlighted(tagged, screen, styles), soft_wrap=not screen.is_terminal)
    if not json and not n_entities:
        print_note(f"no entity in {n_sentences} sentence{'s' if n_sentences > 1 else ''}")


def highlighted(tagged: "TaggedSentence", screen: "Console", styles: dict[str, str]) -> "Text":
    """The sentence with its entities in colour and their types behind them, or `[Berlin LOC 0.98]` without colours.

    `styles`: the colours assigned to types so far; the function adds to it.
    """
    from rich.text import Text

    coloured = screen.color_system is not None and not screen.no_color
    text, line, at = tagged.sentence.text, Text(), 0
    for one in tagged.entities:
        start, end = tagged.sentence.words[one.first].start, tagged.sentence.words[one.last - 1].end
        about = one.label if one.score is None else f"{one.label} {one.score:.2f}"
        line.append(text[at:start])
        if coloured:
            style = styles.setdefault(one.label, COLOURS[len(styles) % len(COLOURS)])
            line.append(f" {text[start:end]} ", style=style).append(about, style="bold")
        else:
            line.append(f"[{text[start:end]} {about}]")
        at = end
    return line.append(text[at:])
