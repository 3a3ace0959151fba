"""Guesses the format of a user's files from their content, and reports every uncertain decision.

Keys that the user gives as `KEY=VALUE` are not guessed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.config import Config, DatasetConfig, Format, SourceName, Split
from nerbench.tasks.config.messages import first_problem
from nerbench.tasks.data.text_files import read_lines, uncompressed_name
from nerbench.tasks.inspection.conll_layout import Layout, layout_of
from nerbench.tasks.inspection.format_detection import ENDINGS, FORMATS, encoding_of, format_of, sample_of, tokenizer_of

SPLIT_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "validation": ("valid", "validation", "val", "dev", "devel", "development", "testa", "eval"),
    "test": ("test", "testb", "tst", "heldout", "holdout"),
}
"""Words in a file's name that mean a split, in their common spellings."""
_SOURCES: Mapping[str, SourceName] = {
    "train": "train",
    "dev": "validation",
    "validation": "validation",
    "test": "test",
    "all": "all",
}
_LOOKED_AT = 20_000
"""Number of lines of each file that decide its columns."""
_SAVED = ("dataset_dict.json", "state.json")
"""Files in a folder that `save_to_disk` of datasets wrote."""
DIVIDED = {"train": "80%", "validation": "10%", "test": "10%", "by": "sentence"}
"""The division of a file for all splits, unless it has documents or the user gives another one."""
_README = ("readme", "license", "licence", "requirements", "labels", "notes")


class Guess(NamedTuple):
    """How to read files, and the decisions that may be wrong."""

    dataset: DatasetConfig
    assumptions: tuple[str, ...]
    """The findings and the decisions that may be wrong, as sentences."""


Ask = Callable[[str, Sequence[str]], str | None]
"""Asks the user a question with these possible answers; returns None if there is no terminal."""


def _nobody(question: str, answers: Sequence[str]) -> None:
    """Do not ask: there is no terminal."""


def guess(sources: Sequence[str], ask: Ask = _nobody, default: str | None = None) -> Guess:
    """The configuration of a data set that is given by files, a folder, or the id of a data set of the Hub.

    Args:
        sources: any of these, `train=FILE` (also dev, test, all), or other keys of a data set, e.g. `columns.tags=2`.
        default: the file or folder if none is given.

    Raises InputError if there is no file, or if two files could be the same split; CorpusError if a file is not text or
    has no column of tags.
    """
    named, fields, free = _parsed(sources)
    found: dict[str, Any]
    free = free or ([default] if default and not named else [])
    if not free and not named:
        raise InputError("the data", "is missing", "name a file, a folder or train=FILE")
    if len(free) == 1 and not named and not Path(free[0]).exists() and _is_hub_id(free[0]):
        found = {"name": _name(free[0]), "format": "hub", "path": free[0]}
        return Guess(_dataset(found, fields), (f"{free[0]} is read from the Hub",))
    if len(free) == 1 and not named and any((Path(free[0]) / file).is_file() for file in _SAVED):
        found = {"name": _name(str(Path(free[0]).resolve())), "format": "datasets", "path": free[0]}
        return Guess(_dataset(found, fields), (f"{free[0]} was written by `save_to_disk` of datasets",))
    files = [file for source in free for file in _files(source)]
    splits, assumptions = _splits(files, named, ask)
    read = [*splits.values()]
    kind = _format(read, fields)
    name = Path(read[0]).resolve()
    found = {"name": _name(name.parent.name if len(read) > 1 else name.stem), "format": kind, "files": splits}
    if kind not in ("parquet", "brat"):
        found["encoding"] = fields.get("encoding") or encoding_of(read, assumptions)
    if kind == "conll":
        layout = _layout(splits, found["encoding"])
        found |= {"columns": layout.columns, "delimiter": layout.delimiter, "scheme": layout.scheme}
        if (
            layout.choices
            and "columns.tags" not in fields
            and (answer := ask("The tags are in column", layout.choices))
        ):
            fields["columns.tags"] = answer
        assumptions += [] if "columns.tags" in fields else layout.assumptions
    else:
        says = next(one.says for one in FORMATS if one.format == kind)
        assumptions.append(f"format {kind}{says and ': '}{says}")
    if "all" in splits and not any(key.startswith("split") for key in fields):
        found["split"] = DIVIDED
    dataset = _dataset(found, fields)
    if tokenizer := tokenizer_of(dataset, read[0]):
        assumptions += [f"texts are split into words by `tokenizer={tokenizer}`"] if "tokenizer" not in fields else []
        dataset = dataset.model_copy(update={"tokenizer": tokenizer})
    return Guess(dataset, tuple(assumptions))


def _parsed(sources: Sequence[str]) -> tuple[dict[SourceName, str], dict[str, str], list[str]]:
    """The arguments as files of splits, other keys of the data set, and sources without a key."""
    named: dict[SourceName, str] = {}
    fields: dict[str, str] = {}
    free = []
    for source in sources:
        key, is_pair, value = source.partition("=")
        if not is_pair or Path(source).exists():
            free.append(source)
        elif key in _SOURCES:
            if _SOURCES[key] in named:
                raise InputError(source, f"there is a file for {_SOURCES[key]} already", "name one")
            if "://" not in value and not Path(value).expanduser().exists():
                raise InputError(source, "there is no such file", "check the path")
            named[_SOURCES[key]] = value if "://" in value else str(Path(value).expanduser())
        elif key.partition(".")[0] in DatasetConfig.model_fields and key not in ("files", "path"):
            fields[key] = value
        else:
            known = ", ".join(f"{one}=FILE" for one in _SOURCES)
            raise InputError(source, f"{key} is not a key of a data set", f"give {known}, or e.g. columns.tags=2")
    return named, fields, free


def _dataset(found: dict[str, Any], fields: Mapping[str, str]) -> DatasetConfig:
    data = dict(found)
    for key, text in fields.items():
        at, (*parents, last) = data, key.split(".")
        for parent in parents:
            at[parent] = dict(at.get(parent) or {})
            at = at[parent]
        try:
            at[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            at[last] = text
    try:
        return Config.model_validate({"datasets": [data]}).datasets[0]
    except ValidationError as error:
        raise first_problem(error, {"datasets": [data]}) from error


def _files(source: str) -> list[str]:
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(source, "there is no such file or folder", "check the path, or give ORG/NAME of the Hub")
    if path.is_file() or _is_brat(path):
        return [str(path)]
    found = [str(file) for file in sorted(path.iterdir()) if _is_data(file) or _is_brat(file)]
    found = found or [str(file) for file in sorted(path.glob("*/*")) if _is_data(file)]
    if not found:
        endings = ", ".join(ENDINGS)
        raise InputError(source, "holds no file of data", f"name files, or a folder with files that end in {endings}")
    return found


def _is_brat(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.ann"))


def _is_data(file: Path) -> bool:
    hidden = file.name.startswith(".") or file.parent.name.startswith(".")
    plain = Path(uncompressed_name(file.name))
    is_known = plain.suffix.lower() in (*ENDINGS, ".spacy") and not file.stem.lower().startswith(_README)
    return (
        (is_known or _split_called(plain.suffix.lower().removeprefix(".")) is not None)
        and not hidden
        and file.is_file()
    )


def _splits(files: Sequence[str], named: Mapping[SourceName, str], ask: Ask) -> tuple[dict[SourceName, str], list[str]]:
    assumptions: list[str] = []
    found = dict(named)
    for file in files:
        split: SourceName | None = split_of(file)
        if split is None and len(files) == 1 and not named:
            answer = ask(f"{file} is the split", ("all", "train", "validation", "test"))
            split = _SOURCES[answer] if answer else "test"
            if not answer:
                what = f"{file} is used as the test split: its name contains none of {', '.join(SPLIT_NAMES)}"
                assumptions.append(f"{what}; to divide it or to train on it, give `all={file}` or `train={file}`")
        if split is None:
            assumptions.append(f"{file} is left out: its name contains none of {', '.join(SPLIT_NAMES)}")
        elif split in found:
            problem = f"and {file} could both be the {split} split"
            raise InputError(found[split], problem, f"name the files that are meant, e.g. {split}={file}")
        else:
            found[split] = file
    if not found:
        remedy = "name one file, or train=FILE dev=FILE test=FILE"
        raise InputError(", ".join(files[:3]), "have names without train, dev or test", remedy)
    order: tuple[SourceName, ...] = ("all", *SPLIT_NAMES)
    return {split: found[split] for split in order if split in found}, assumptions


def split_of(file: str) -> Split | None:
    """The split that the last word in a file's name with such a meaning stands for; None if there is no such word.

    A suffix that belongs to no format is a part of the name, as in `eng.testa`.
    """
    path = Path(uncompressed_name(file))
    name = path.stem if path.suffix.lower() in ENDINGS else path.name
    return next((split for word in re.split(r"[^a-z0-9]+", name.lower())[::-1] if (split := _split_called(word))), None)


def _split_called(word: str) -> Split | None:
    return next((s for s, names in SPLIT_NAMES.items() if word in names or word.rstrip("0123456789") in names), None)


def _format(files: Sequence[str], fields: Mapping[str, str]) -> Format:
    """The declared format, or else the one of all files. Raises InputError if they differ."""
    if "format" in fields:
        return fields["format"]  # type: ignore[return-value]
    kinds = {format_of(sample_of(file)) for file in files}
    if len(kinds) > 1:
        raise InputError(", ".join(files), f"are of several formats, {', '.join(sorted(kinds))}", "name one format")
    return kinds.pop()


def _layout(splits: Mapping[SourceName, str], encoding: str) -> Layout:
    layouts = {file: layout_of(file, islice(read_lines(file, encoding), _LOOKED_AT)) for file in splits.values()}
    first, *others = layouts.items()
    for file, layout in others:
        if layout[:3] != first[1][:3]:
            problem = f"has other columns than {first[0]}"
            raise CorpusError(file, problem, "write all splits in the same way, or make each a data set of its own")
    return first[1]


def _is_hub_id(source: str) -> bool:
    """Whether a source is a Hub id `org/name`. If there is a folder `org`, it is a missing file in that folder."""
    named_so = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", source)
    return bool(named_so) and Path(source).suffix not in ENDINGS and not Path(source).parent.is_dir()


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.rpartition("/")[2]).strip("._-")[:96] or "data"
