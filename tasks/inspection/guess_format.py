"""The format of a user's files, guessed from their content: what is uncertain is reported, never settled silently."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.config import DatasetConfig, Format, SourceName, Split
from nerbench.tasks.data.readers import shortened
from nerbench.tasks.data.tag_schemes import split_tag
from nerbench.tasks.data.text_files import open_file, read_lines

_BLANKS = re.compile(r"[ \t]+")
_MARKER = "-DOCSTART-"
_MOST_TYPES = 60
"""Different values that a column of bare types may have."""
_BARE = re.compile(r"[^\W\d_][\w.-]*")


class Layout(NamedTuple):
    """How the lines of a file are read."""

    columns: dict[Literal["words", "tags", "document"], int | str]
    """Only what is not the default."""
    delimiter: Literal["auto", "tab", "space"]
    scheme: Literal["auto", "io"]
    """`io` for bare types, which cannot be recognised by themselves."""
    assumptions: tuple[str, ...]
    """What could have been decided otherwise."""


def layout_of(file: str, lines: Iterable[str]) -> Layout:
    """The layout of a file by its first lines; raises CorpusError where no column holds tags."""
    kept = list(_words(lines))
    if not kept:
        raise CorpusError(file, "holds no word", "name a file with a word and its tag a line")
    delimiter, rows = _split(kept)
    columns = list(zip(*rows, strict=True))
    tags, scheme, assumptions = _tags(file, columns, kept[0])
    words = _words_column(columns, tags)
    if words:
        assumptions.append(
            f"words are read from column {words} (from 0), beside {shortened(columns[0][0])} in the first"
        )
    last = len(columns) - 1
    found: dict[Literal["words", "tags", "document"], int | str] = {}
    if words:
        found["words"] = words
    if tags != last:
        found["tags"] = tags
    return Layout(found, delimiter, scheme, tuple(assumptions))


def _words(lines: Iterable[str]) -> Iterator[str]:
    """Lines that hold a word; comments stand before a sentence's first."""
    inside = False
    for line in lines:
        text = line.rstrip("\r")
        if not text.strip() or text.startswith(_MARKER):
            inside = False
        elif inside or not text.startswith("# "):
            inside = True
            yield text


def _split(lines: Sequence[str]) -> tuple[Literal["auto", "tab"], list[list[str]]]:
    """The lines in columns, by the delimiter that makes them most alike; of what is left, the commonest width alone."""
    by_blanks = [_BLANKS.split(line.strip(" \t")) for line in lines]
    by_tab = [line.rstrip(" ").split("\t") for line in lines]
    alike = {}
    for rows in (by_blanks, by_tab):
        width, count = Counter(map(len, rows)).most_common(1)[0]
        alike[id(rows)] = (width > 1, count, width)
    better_by_tab = alike[id(by_tab)][:2] > alike[id(by_blanks)][:2]
    chosen = by_tab if better_by_tab else by_blanks
    width = alike[id(chosen)][2]
    return "tab" if better_by_tab else "auto", [row for row in chosen if len(row) == width]


def _tags(file: str, columns: Sequence[Sequence[str]], line: str) -> tuple[int, Literal["auto", "io"], list[str]]:
    values = [set(column) for column in columns]
    holding = [number for number, column in enumerate(values) if len(columns) > 1 and _are_tags(column)]
    if holding:
        chosen = holding[-1]
        others = [f"column {number} ({_types(values[number])})" for number in holding[:-1]]
        assumptions = [
            f"tags are read from column {chosen} ({_types(values[chosen])}); so could be {' or '.join(others)}"
        ]
        return chosen, "auto", assumptions if others else []
    bare = [number for number, column in enumerate(values) if len(columns) > 1 and _are_bare(column)]
    if bare:
        shown = ", ".join(sorted(values[bare[-1]])[:6])
        assumptions = [
            f"tags are read from column {bare[-1]} as bare types ({shown}): scheme io, neighbours of a type are one"
        ]
        return bare[-1], "io", assumptions
    problem = f"has no column of tags such as B-PER, I-PER and O: {shortened(line)}"
    raise CorpusError(file, problem, "name a file with a word and its tag a line, blank lines between sentences")


def _are_tags(values: set[str]) -> bool:
    tags = [split_tag(value, "auto") for value in values]
    return all(tags) and any(tag.type for tag in tags if tag)


def _are_bare(values: set[str]) -> bool:
    return "O" in values and 1 < len(values) <= _MOST_TYPES and all(_BARE.fullmatch(value) for value in values)


def _types(values: set[str]) -> str:
    types = sorted({tag.type for value in values if (tag := split_tag(value, "auto")) and tag.type})
    return ", ".join(types[:4]) + (", …" if len(types) > 4 else "")


def _words_column(columns: Sequence[Sequence[str]], tags: int) -> int:
    """The first column, but for numbers of words from 0 or 1 on, and for tags that stand first."""
    numbered = len(columns) > 2 and columns[0][0] in ("0", "1") and all(value.isdecimal() for value in columns[0])
    if tags == 0:
        return len(columns) - 1
    return 1 if numbered and tags != 1 else 0


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
    assumptions: tuple[str, ...]
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
    splits, assumptions = _splits(files)
    kinds = {_format(file) for file in splits.values()}
    if len(kinds) > 1:
        raise InputError(", ".join(files), f"are of several formats, {', '.join(sorted(kinds))}", "name those of one")
    (kind,) = kinds
    name = _name(str(Path(files[0]).resolve().parent.name if len(files) > 1 else Path(files[0]).stem))
    if kind != "conll":
        return Guess(DatasetConfig(name=name, format=kind, files=splits), (*assumptions, f"format {kind}"))
    encoding = _encoding(splits.values(), assumptions)
    layout = _layout(splits, encoding)
    assumptions += layout.assumptions
    dataset = DatasetConfig(
        name=name,
        files=splits,
        columns=layout.columns,
        delimiter=layout.delimiter,
        encoding=encoding,
        scheme=layout.scheme,
    )
    return Guess(dataset, tuple(assumptions))


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
    assumptions: list[str] = []
    found: dict[SourceName, str] = {}
    for file in files:
        split = split_of(file)
        if split is None and len(files) == 1:
            split = "test"
            assumptions.append(f"{file} is taken for the test split: its name says none of {', '.join(SPLIT_NAMES)}")
        if split is None:
            assumptions.append(f"{file} is left out: its name says none of {', '.join(SPLIT_NAMES)}")
        elif split in found:
            problem = f"and {file} could both be the {split} split"
            raise InputError(found[split], problem, "name the files that are meant")
        else:
            found[split] = file
    if not found:
        remedy = "name one file, or let their names say train, dev or test"
        raise InputError(", ".join(files[:3]), "do not say by their names which split they are", remedy)
    return {split: found[split] for split in SPLIT_NAMES if split in found}, assumptions


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


def _encoding(files: Iterable[str], assumptions: list[str]) -> str:
    """UTF-8 if all files are; else UTF-16 by its mark, or Windows-1252, which is a guess and told."""
    for file in files:
        with closing(open_file(file)) as opened:
            if opened.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                assumptions.append(f"{file} begins with the mark of UTF-16")
                return "utf-16"
        try:
            for _ in read_lines(file, "utf-8"):
                pass
        except CorpusError as error:
            assumptions.append(
                f"{error.problem} in {file}: read as Windows-1252, which is a guess; look at accented letters"
            )
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
