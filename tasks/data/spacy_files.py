"""Reads spaCy's binary `.spacy` files (`DocBin`) with spaCy in a separate process, perhaps of another interpreter.

nerbench does not depend on spaCy, which pins other versions: `python` of the data set names an interpreter that has it.
The process gets no secret of the environment. A document without marked sentences is one sentence. Tokens of white
space are left out.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from nerbench.artifacts.errors import CorpusError, one_line
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.json_files import read_json
from nerbench.tasks.data.readers import Source
from nerbench.tasks.data.records import Record, read_records

BINARY = ".spacy"
_LONGEST_LINE = 1 << 26
_SCRIPT = """
import json, sys
import spacy
from spacy.tokens import DocBin
for number, doc in enumerate(DocBin().from_disk(sys.argv[1]).get_docs(spacy.blank("xx").vocab)):
    for sentence in doc.sents if doc.has_annotation("SENT_START") else [doc]:
        words = [token for token in sentence if not token.is_space]
        starts = {next((t.i for t in entity if not t.is_space), -1) for entity in sentence.ents}
        tags = [("B-" if t.i in starts else "I-") + t.ent_type_ if t.ent_type_ else "O" for t in words]
        print(json.dumps([number, [t.text for t in words], tags]))
"""


def read_spacy(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file: JSON training data (a path or an fsspec URL), or a local `.spacy` file.

    Reading raises CorpusError: the file is missing, or it cannot be read by spaCy.
    """
    if not path.endswith(BINARY):
        return read_json(path, config)
    sentences = read_records(_records(path, config.python or sys.executable), partial(_place, path), config)
    return Source(path, sentences, lambda at, word: f"{_place(path, at)} word {word}")


def _place(path: str, at: int) -> str:
    return f"{path} sentence {at}"


def _records(path: str, python: str) -> Iterator[Record]:
    if "://" in path or not Path(path).is_file():
        raise CorpusError(path, "is not a local file", "copy it to a folder")
    environment = {"PATH": os.environ.get("PATH", "")}
    with tempfile.TemporaryFile() as errors:
        command = [python, "-I", "-c", _SCRIPT, str(Path(path).absolute())]
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
        except OSError as error:
            raise CorpusError(python, f"cannot be started ({error.strerror})", "correct `python`") from error
        with process:
            try:
                assert process.stdout is not None
                yield from _sentences(process.stdout, path)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4096))
            message = one_line(errors.read().decode(errors="replace").strip().rpartition("\n")[2])
            remedy = "name an interpreter with spaCy in the data set's `python`"
            raise CorpusError(path, f"cannot be read by spaCy in {python} ({message})", remedy)


def _sentences(lines: IO[bytes], path: str) -> Iterator[Record]:
    at = 0
    while line := lines.readline(_LONGEST_LINE):
        at += 1
        try:
            document, words, tags = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(_place(path, at), f"is too long, or not valid JSON ({error})", "divide it") from error
        yield Record(at, words, tags, document)
