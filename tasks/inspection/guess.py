"""How a user's files are to be read, found out by looking at them: what is unsure is told, never settled silently."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.config import DatasetConfig, Format, SourceName, Split
from nerbench.tasks.inspection.layout import Layout, layout_of
from nerbench.tasks.sources.textfile import open_file, read_lines

ENDINGS: Mapping[str, Format] = {
    **dict.fromkeys((".conll", ".conllu", ".iob", ".iob2", ".bio", ".bioes", ".bilou", ".tsv", ".txt"), "conll"),
    **dict.fromkeys((".json", ".jsonl"), "json"),
    ".parquet": "parquet",
}
SPLIT_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training", "trn"),
    "validation": ("valid", "validation", "val", "dev", "devel", "development", "testa", "eval"),
    "test": ("test", "testb", "tst", "heldout", "holdout"),
}
"""Words of a file's name that say which split it is; more than one spelling is common."""
_LOOKED_AT = 20_000
"""Lines of each file that tell its columns."""
_BLOCK = 1 << 20
_SAVED = ("dataset_dict.json", "state.json")
"""What `save_to_disk` of datasets leaves in a folder."""
_README = ("readme", "license", "licence", "requirements", "labels", "notes")


class Guess(NamedTuple):
    """How files are read, and what there is to say about it."""

    dataset: DatasetConfig
    told: tuple[str, ...]
    """What was found, and what was decided that could have been decided otherwise."""


def guess(sources: Sequence[str]) -> Guess:
    """The data set that files, a folder or the id of a data set of the Hub hold.

    Raises InputError where there is none, or where two files could be the same split; CorpusError where one is no text
    or has no column of tags.
    """
    if len(sources) == 1 and not Path(sources[0]).exists() and _is_hub_id(sources[0]):
        name = _name(sources[0])
        return Guess(DatasetConfig(name=name, format="hub", path=sources[0]), (f"{sources[0]} is read from the Hub",))
    if len(sources) == 1 and any((Path(sources[0]) / file).is_file() for file in _SAVED):
        dataset = DatasetConfig(name=_name(str(Path(sources[0]).resolve())), format="datasets", path=sources[0])
        return Guess(dataset, (f"{sources[0]} was written by `save_to_disk` of datasets",))
    files = [file for source in sources for file in _files(source)]
    splits, told = _splits(files)
    kinds = {_format(file) for file in splits.values()}
    if len(kinds) > 1:
        raise InputError(", ".join(files), f"are of several formats, {', '.join(sorted(kinds))}", "name those of one")
    (kind,) = kinds
    name = _name(str(Path(files[0]).resolve().parent.name if len(files) > 1 else Path(files[0]).stem))
    if kind != "conll":
        return Guess(DatasetConfig(name=name, format=kind, files=splits), (*told, f"format {kind}"))
    encoding = _encoding(splits.values(), told)
    layout = _layout(splits, encoding)
    told += layout.told
    dataset = DatasetConfig(
        name=name,
        files=splits,
        columns=layout.columns,
        delimiter=layout.delimiter,
        encoding=encoding,
        scheme=layout.scheme,
    )
    return Guess(dataset, tuple(told))


def _files(source: str) -> list[str]:
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(source, "there is no such file or folder", "check the path, or give ORG/NAME of the Hub")
    if path.is_file():
        return [str(path)]
    found = [str(file) for file in sorted(path.iterdir()) if _is_data(file)]
    found = found or [str(file) for file in sorted(path.glob("*/*")) if _is_data(file)]
    if not found:
        endings = ", ".join(ENDINGS)
        raise InputError(source, "holds no file of data", f"name files, or a folder with files that end in {endings}")
    return found


def _is_data(file: Path) -> bool:
    hidden = file.name.startswith(".") or file.parent.name.startswith(".")
    known = file.suffix.lower() in ENDINGS and not file.stem.lower().startswith(_README)
    return known and not hidden and file.is_file()


def _splits(files: Sequence[str]) -> tuple[dict[SourceName, str], list[str]]:
    told: list[str] = []
    found: dict[SourceName, str] = {}
    for file in files:
        split = split_of(file)
        if split is None and len(files) == 1:
            split = "test"
            told.append(f"{file} is taken for the test split: its name says none of {', '.join(SPLIT_NAMES)}")
        if split is None:
            told.append(f"{file} is left out: its name says none of {', '.join(SPLIT_NAMES)}")
        elif split in found:
            problem = f"and {file} could both be the {split} split"
            raise InputError(found[split], problem, "name the files that are meant")
        else:
            found[split] = file
    if not found:
        remedy = "name one file, or let their names say train, dev or test"
        raise InputError(", ".join(files[:3]), "do not say by their names which split they are", remedy)
    return {split: found[split] for split in SPLIT_NAMES if split in found}, told


def split_of(file: str) -> Split | None:
    """The split that the last word of a file's name says that means one; None where no word does."""
    words = re.split(r"[^a-z0-9]+", Path(file).stem.lower())
    for word in reversed(words):
        for split, names in SPLIT_NAMES.items():
            if word in names or word.rstrip("0123456789") in names:
                return split
    return None


def _format(file: str) -> Format:
    with closing(open_file(file)) as opened:
        block = opened.read(_BLOCK)
    if not block.strip():
        raise CorpusError(file, "is empty", "name a file with words and their tags")
    if block.startswith(b"PAR1"):
        return "parquet"
    if b"\0" in block and not block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorpusError(file, "is binary, not text", "name CoNLL text, JSON lines or Parquet")
    start = block.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{") and _is_object(start.partition(b"\n")[0]):
        return "json"
    if Path(file).suffix.lower() in (".json", ".jsonl"):
        problem = "does not begin with a line that is a JSON object"
        raise CorpusError(file, problem, "write one object a line, with `tokens` and `ner_tags`")
    return "conll"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _encoding(files: Iterable[str], told: list[str]) -> str:
    """UTF-8 if all files are; else UTF-16 by its mark, or Windows-1252, which is a guess and told."""
    for file in files:
        with closing(open_file(file)) as opened:
            if opened.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                told.append(f"{file} begins with the mark of UTF-16")
                return "utf-16"
        try:
            for _ in read_lines(file, "utf-8"):
                pass
        except CorpusError as error:
            told.append(f"{error.problem} in {file}: read as Windows-1252, which is a guess; look at accented letters")
            return "cp1252"
    return "utf-8"


def _layout(splits: Mapping[SourceName, str], encoding: str) -> Layout:
    layouts = {file: layout_of(file, islice(read_lines(file, encoding), _LOOKED_AT)) for file in splits.values()}
    first, *others = layouts.items()
    for file, layout in others:
        if layout[:3] != first[1][:3]:
            problem = f"has other columns than {first[0]}"
            raise CorpusError(file, problem, "write all splits alike, or make a data set of each")
    return first[1]


def _is_hub_id(source: str) -> bool:
    """Whether this means `org/name`; where there is a folder `org` here, a file in it is meant that is missing."""
    named_so = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", source)
    return bool(named_so) and Path(source).suffix not in ENDINGS and not Path(source).parent.is_dir()


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text.rpartition("/")[2]).strip("._-")[:96] or "data"
