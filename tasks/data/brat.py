"""Reads a BRAT folder of texts `NAME.txt` with annotations `NAME.ann`. Each text is a document.

Entities (`T1<tab>PER 0 11<tab>Anna Müller`) are read; relations, events, attributes and notes are not. An entity of
several parts (`0 4;9 13`) overlaps the text between them: it is refused, unless `flatten` is `outer`, which reads one
span from the first part to the last, or `longest`, which reads the longest part.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.readers import Source, shortened
from nerbench.tasks.data.records import read_records
from nerbench.tasks.data.spans import Text
from nerbench.tasks.data.text_files import read_lines, read_whole_text

_ENTITY = re.compile(r"T\d+\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")
_LONGEST_TEXT = 1 << 26


def read_brat(path: str, config: DatasetConfig) -> Source:
    """The sentences of a local folder, in the order of its file names; documents are numbered from 0.

    Raises CorpusError, also during reading: the folder or its texts are missing, a text has no annotations, or an
    entity is not in its text.
    """
    folder = Path(path)
    if "://" in path or not folder.is_dir():
        raise CorpusError(path, "is not a local folder", "name a folder of .txt files with .ann files beside them")
    texts = sorted(folder.glob("*.txt"))
    if not texts:
        raise CorpusError(path, "holds no .txt file", "name a folder of .txt files with .ann files beside them")
    sentences = read_records(_records(texts, config), lambda at: str(texts[at]), config)
    return Source(path, sentences, lambda at, word: f"{texts[at]} word {word} of its sentence")


def _records(texts: list[Path], config: DatasetConfig) -> Iterator[Text]:
    for number, file in enumerate(texts):
        for one in (file, file.with_suffix(".ann")):
            if one.resolve().parent != file.parent.resolve():
                raise CorpusError(str(one), "is a link out of its folder", "copy the file into the folder")
        text = read_whole_text(str(file), config.encoding, _LONGEST_TEXT)
        annotations = str(file.with_suffix(".ann"))
        lines = enumerate(read_lines(annotations, config.encoding), start=1)
        spans = [
            _span(line.rstrip("\r"), text, f"{annotations}:{n}", config.flatten)
            for n, line in lines
            if line.startswith("T")
        ]
        yield Text(number, text, spans, None, None)


def _span(line: str, text: str, at: str, flatten: str | None) -> tuple[int, int, str]:
    if not (match := _ENTITY.fullmatch(line)):
        remedy = "write T1, type, offsets and text, separated by tabs"
        raise CorpusError(at, f"is not an entity: {shortened(line)}", remedy)
    parts = [tuple(map(int, part.split())) for part in match[2].split(";")]
    written = " ".join(text[start:end] for start, end in parts)
    if written.split() != match[3].split():
        problem = f"{shortened(match[3])} is {shortened(written)} in the text"
        raise CorpusError(at, problem, "correct the offsets, which count Unicode characters from 0")
    if len(parts) > 1 and flatten is None:
        problem = f"an entity of several parts: {shortened(line)}"
        raise CorpusError(
            at, problem, "choose what to keep: `flatten: outer` takes all of it, `longest` its longest part"
        )
    start, end = max(parts, key=lambda part: part[1] - part[0])
    return (parts[0][0], parts[-1][1], match[1]) if flatten == "outer" else (start, end, match[1])
