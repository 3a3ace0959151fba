"""Reads JSON lines: an object a line, with a list of words and a list of tags."""

import json
from collections.abc import Iterator
from typing import Any

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.sources.records import Columns, Record, find_columns, read_records
from nerbench.tasks.sources.sentences import Source, shortened
from nerbench.tasks.sources.textfile import read_lines


def read_json(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file, local or any fsspec URL.

    Reading raises CorpusError: the file is missing, or a line is no JSON object, lacks a key of the first line or is no
    sentence. Names file, line and content.
    """
    sentences = read_records(_records(path, config), lambda at: f"{path}:{at}", config.labels)
    return Source(path, sentences, lambda at, word: f"{path}:{at} word {word}")


def _records(path: str, config: DatasetConfig) -> Iterator[Record]:
    columns: Columns | None = None
    for number, line in enumerate(read_lines(path, config.encoding), start=1):
        if not line.strip():
            continue
        at = f"{path}:{number}"
        row = _object(line, at)
        columns = columns or find_columns(row, at, config)
        if lacking := [name for name in columns if name and name not in row]:
            raise CorpusError(at, f"there is no {lacking[0]!r}: {shortened(line)}", "every line needs the same keys")
        yield Record(number, row[columns.words], row[columns.tags], columns.document and row[columns.document])


def _object(line: str, at: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        problem = f"is no JSON ({error}): {shortened(line)}"
        raise CorpusError(at, problem, "write one object a line, e.g. one made by `jq -c`") from error
    if not isinstance(row, dict):
        problem = f"is a JSON {type(row).__name__}, no object: {shortened(line)}"
        raise CorpusError(at, problem, "write one object a line, e.g. by `jq -c '.[]'`")
    return row
