"""Writes a commented, valid configuration for inspected data."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.inspection.facts import DatasetFacts
from nerbench.tasks.inspection.notes import counted

_TEXT = """\
# Written by `nerbench init`. `nerbench run` trains, saves and benchmarks; {commands}
store: ./var/artifacts          # the model store: a folder or an fsspec URL
results: ./var/results          # result tables and cached predictions

datasets:
  - name: {name}
    format: {format}{format_comment}
{source}
{layout}    # label_map: {{PERSON: PER}}  # renames entity types; ignore_labels: [DATE] treats them as O
    # found: {found}

models:                         # models to train and publish, one after the other
  - name: {model}
{base}
benchmark:
  models: ["*@latest"]          # default of `nerbench benchmark`: every model in the store
  split: {split}{split_comment}
  labels: all                   # rows for every entity type, in addition to `overall`
  device: auto                  # the GPU if there is one
  text: keep                    # `drop` keeps the words of the corpus out of all tables
"""
_SMALL = """\
    base:                       # a small, untrained model that works at once and offline;
      model_type: bert          # a pretrained model is far better: `base: bert-base-cased`, or its folder, with
      hidden_size: 128          # learning_rate: 5.0e-5, epochs: 3 and without `vocabulary`
      num_hidden_layers: 2
      num_attention_heads: 2
      intermediate_size: 512
      max_position_embeddings: 128
    vocabulary: 4096            # vocabulary size of the tokenizer, which is trained on the train split
    epochs: 8                   # passes over the train split; the epoch with the best validation F1 is kept
    learning_rate: 2.0e-3       # peak learning rate
    batch_tokens: 1024          # sub-word tokens per batch, including padding
    seed: 0
"""
_PRETRAINED = """\
    base: {base}
    epochs: 3                   # passes over the train split; the epoch with the best validation F1 is kept
    learning_rate: 5.0e-5       # peak learning rate
    batch_tokens: 1024          # sub-word tokens per batch, including padding
    seed: 0
"""
_FORMATS = {
    "conll": "one word per line, an empty line between sentences",
    "json": "one sentence or text per object",
    "parquet": "one sentence or text per row",
    "csv": "one word or text per row",
    "label-studio": "its JSON export",
    "spacy": "its JSON training data",
    "brat": "a folder of .txt and .ann files per split",
    "hub": "a data set of the Hugging Face Hub, or a folder in its layout",
    "datasets": "a folder written by `save_to_disk` of datasets",
}
_SPLITS = ("train", "validation", "test")


class Written(NamedTuple):
    """A configuration for inspected data."""

    text: str
    """YAML."""
    next: str
    """The next step with this configuration, and the splits that it lacks."""


def configuration_for(dataset: DatasetConfig, facts: DatasetFacts, base: str | None) -> Written:
    """The configuration for one data set, with the paths in `dataset`.

    `base`: the folder or Hub id of a pretrained model. Default: a small model with random weights.
    """
    there = [split.split for split in facts.splits]
    trains, split = {"train", "validation"} <= {*there}, "test" if "test" in there else there[-1]
    next_step = _next(there, split)
    is_test = "" if split == "test" else "             # there is no test split; scores are for this split"
    text = _TEXT.format(
        commands="`nerbench benchmark REF` scores stored models." if trains else next_step.partition(";")[0] + ".",
        name=dataset.name,
        format=dataset.format,
        format_comment=f"{' ' * (19 - len(dataset.format))}# {_FORMATS[dataset.format]}",
        source=_source(dataset, there),
        layout=_layout(dataset, facts),
        found=_found(facts),
        model=f"{dataset.name[:80]}-tagger",
        base=_PRETRAINED.format(base=_scalar(base)) if base else _SMALL,
        split=split,
        split_comment=is_test or "                   # the split to score, for every data set",
    )
    return Written(text, next_step)


def _next(there: list[str], split: str) -> str:
    lacking = [name for name in ("train", "validation") if name not in there]
    if not lacking:
        return "`nerbench run` trains, saves and benchmarks"
    what = " and ".join(lacking)
    if lacking == ["validation"]:
        hint = "set a tenth of the train documents aside for it with `split: {train: 90%, validation: 10%}`"
    else:
        hint = "name their files, or divide one: `files: {all: FILE}` with `split: {train: 80%, …}`"
    return f"`nerbench benchmark REF` scores stored models on {split}; to train, a {what} split is missing: {hint}"


def _source(dataset: DatasetConfig, there: list[str]) -> str:
    if dataset.path:
        return f"    path: {_scalar(str(dataset.path))}"
    lines = ["    files:"]
    for split in ("all", *_SPLITS):
        if split in dataset.files:
            lines.append(f"      {split}: {_scalar(dataset.files[split])}")
        elif split in _SPLITS and split not in there:
            lines.append(
                f"      # {split}: FILE  # missing: needed {'to benchmark' if split == 'test' else 'to train'}"
            )
    return "\n".join(lines)


def _division(dataset: DatasetConfig) -> Iterator[str]:
    if dataset.split:
        amounts = ", ".join(f"{split}: {amount}" for split, amount in dataset.split.amounts.items())
        yield f"    split: {{{amounts}, by: {dataset.split.by}, seed: {dataset.split.seed}}}"


def _layout(dataset: DatasetConfig, facts: DatasetFacts) -> str:
    lines = [*_division(dataset)]
    if dataset.columns:
        columns = ", ".join(
            f"{what}: {where if isinstance(where, int) else _scalar(where)}" for what, where in dataset.columns.items()
        )
        positions = "      # 0-based positions" if dataset.format == "conll" else ""
        lines.append(f"    columns: {{{columns}}}{positions}")
    elif dataset.format == "conll":
        lines.append("    # columns: {words: 0, tags: -1}  # the first and the last column (default)")
    if dataset.delimiter != "auto":
        lines.append(f"    delimiter: {dataset.delimiter}              # column separator")
    if dataset.encoding != "utf-8":
        lines.append(f"    encoding: {dataset.encoding}")
    if dataset.tokenizer:
        lines.append(f"    tokenizer: {dataset.tokenizer}          # splits texts into words")
    for key in ("flatten", "label_map", "ignore_labels", "labels", "config", "revision", "loader", "options"):
        if value := getattr(dataset, key):
            lines.append(f"    {key}: {json.dumps(value, ensure_ascii=False)}")
    if dataset.invalid != "repair":
        lines.append(f"    invalid: {dataset.invalid}")
    if dataset.scheme != "auto":
        lines.append(f"    scheme: {dataset.scheme}                  # declared: bare types are not recognised")
    elif facts.contradiction:
        lines.append(f"    scheme: {facts.scheme}                # declared: most tags follow it, but not all")
    else:
        lines.append(f"    scheme: auto                # recognised: {facts.scheme}")
    return "".join(f"{line}\n" for line in lines)


def _found(facts: DatasetFacts) -> str:
    sizes = ", ".join(f"{counted(split.sentences, 'sentence')} of {split.split}" for split in facts.splits)
    return f"{sizes}; {', '.join(facts.types) or 'no entity'}".replace("\n", " ")


def _scalar(text: str) -> str:
    """A path or name as a YAML scalar: plain if that is safe, otherwise quoted, with `${` escaped."""
    text = text.replace("${", "$${")
    plain = text.isascii() and not text.startswith("-") and all(c.isalnum() or c in "./_-" for c in text)
    if plain and not text.replace(".", "").replace("-", "").isdecimal() and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", ".", "..", "inf", ".inf", "nan", ".nan"}


def shown_path(file: str) -> str:
    """A path relative to the working directory if it is below it, otherwise an absolute path."""
    path, here = Path(file).absolute(), Path.cwd()
    return f"./{path.relative_to(here).as_posix()}" if path.is_relative_to(here) else str(path)
