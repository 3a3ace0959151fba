"""Reads JSON, one object per line or one array: sentences with tags, or texts with spans by character offsets.

`json`: flat objects as in Hugging Face's features, or as written by Doccano, Prodigy and spaCy's `Doc.to_json`. Only
examples that were accepted in Prodigy are read. `label-studio`: the JSON export of Label Studio; a task is a document.
Tasks without an annotation and cancelled annotations are left out. `spacy`: training data of spaCy, either
`[text, {"entities": …}]`, alone or in `annotations`, or the documents, paragraphs and sentences of spaCy 2.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, Format
from nerbench.tasks.data.readers import Sentence, Source, shortened
from nerbench.tasks.data.records import Columns, Record, TextColumns, find_columns, read_records, record_of
from nerbench.tasks.data.spans import Text
from nerbench.tasks.data.text_files import open_file, read_lines, read_whole_text

_MAX_ARRAY = 1 << 26
"""Maximum number of characters of an array: Python's objects may take twenty times as many bytes."""
_HEAD = 1 << 16
Found = Iterator[Record | Text]


def read_json(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file (a path or an fsspec URL).

    Reading raises CorpusError, which names file, line and content: the file is missing, or a line is not a JSON object,
    lacks a key of the first line, or is not a sentence.
    """
    return Source(path, _sentences(path, config), lambda at, word: f"{place_of(path, at)} word {word}")


def place_of(path: str, at: int) -> str:
    """The place of an item of `json_items`: a line (numbered from 1) or an item of an array (numbered -1, -2, …)."""
    return f"{path}:{at}" if at > 0 else f"{path} item {-1 - at}"


def _sentences(path: str, config: DatasetConfig) -> Iterator[Sentence]:
    layout = _LAYOUTS[config.format](config)
    records = (
        record for at, item in json_items(path, config.encoding) for record in layout(item, at, place_of(path, at))
    )
    yield from read_records(records, lambda at: place_of(path, at), config)


def json_items(path: str, encoding: str) -> Iterator[tuple[int, Any]]:
    """The values of a file with their numbers, as in `_place`: its lines, or the items of one array.

    Raises CorpusError if a value is not JSON, or if an array is longer than 64 MiB.
    """
    if _is_one_value(path, encoding):
        values = _parsed(read_whole_text(path, encoding, _MAX_ARRAY), path)
        yield from ((-1 - number, item) for number, item in enumerate(values if isinstance(values, list) else [values]))
        return
    for number, line in enumerate(read_lines(path, encoding), start=1):
        if line.strip():
            yield number, _parsed(line, f"{path}:{number}")


def _is_one_value(path: str, encoding: str) -> bool:
    """Whether a file is an array or one object over several lines, rather than lines that are objects or pairs."""
    with closing(open_file(path)) as file:
        head = file.read(_HEAD).decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
    first, is_ended, _ = head.partition("\n")
    if head.startswith("{"):
        return bool(is_ended) and first.strip() == "{"
    return head.startswith("[") and not re.match(r'\[\s*"', first)


def _parsed(text: str, at: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        problem = f"is not valid JSON ({error}): {shortened(text)}"
        raise CorpusError(at, problem, "write one object per line, e.g. one made by `jq -c`") from error


Layout = Callable[[Any, int, str], Found]
"""The records of the item with a number, at a place."""


def _flat(config: DatasetConfig) -> Layout:
    columns: list[Columns | TextColumns] = []

    def layout(item: Any, number: int, at: str) -> Found:
        row = _object(item, at)
        if not columns:
            columns.append(find_columns(row, at, config))
        if row.get("answer", "accept") != "accept" and "spans" in row:  # of Prodigy
            return
        if lacking := [name for name in columns[0] if name and name not in row]:
            raise CorpusError(at, f"there is no {lacking[0]!r}: {shortened(item)}", "every line needs the same keys")
        yield record_of(number, columns[0], [name and row[name] for name in columns[0]])

    return layout


def label_studio_texts(item: Any, number: int, at: str) -> Iterator[Text]:
    """The annotated text of a task; none if it has no annotation. Raises CorpusError for several annotations."""
    task = _object(item, at)
    given = _list(task.get("annotations", task.get("completions")), "annotations", at)
    annotations = [one for one in given if not _object(one, at).get("was_cancelled")]
    if len(annotations) > 1:
        problem = f"the task has {len(annotations)} annotations"
        raise CorpusError(at, problem, "keep one for each task")
    for annotation in annotations:
        results = [_object(one, at) for one in _list(annotation.get("result"), "result", at)]
        kinds = {str(one.get("type", "labels")) for one in results}
        if unread := [kind for kind in sorted(kinds) if kind.endswith("labels") and kind != "labels"]:
            raise CorpusError(at, f"the task has annotations of the type {unread[0]}", "annotate text with Labels")
        spans = [_object(one.get("value"), at) for one in results if one.get("type", "labels") == "labels"]
        yield Text(number, _task_text(_object(task.get("data"), at), at), spans, None, None)


def _task_text(data: dict[str, Any], at: str) -> str:
    texts = [value for value in data.values() if isinstance(value, str)]
    if isinstance(data.get("text"), str):
        return str(data["text"])
    if len(texts) == 1:
        return texts[0]
    raise CorpusError(at, f"the task has {len(texts)} texts: {', '.join(data)}", "call the annotated one `text`")


def _spacy(config: DatasetConfig) -> Layout:
    def layout(item: Any, number: int, at: str) -> Found:
        if isinstance(item, dict) and "annotations" in item:
            for document, one in enumerate(_list(item["annotations"], "annotations", at)):
                if one is not None:  # a text without annotation
                    yield _pair(one, number, f"{at} annotation {document}", document)
        elif isinstance(item, dict):
            yield from _paragraphs(item, number, at)
        else:
            yield _pair(item, number, at)

    return layout


def _pair(item: Any, number: int, at: str, document: int | None = None) -> Text:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], dict) or "entities" not in item[1]:
        problem = f"is neither a document nor a text with its entities: {shortened(item)}"
        raise CorpusError(at, problem, 'write [text, {"entities": [[start, end, label]]}]')
    return Text(number, item[0], item[1]["entities"], None, document)


def _paragraphs(item: dict[str, Any], number: int, at: str) -> Found:
    for paragraph in _list(item.get("paragraphs"), "paragraphs", at):
        for sentence in _list(_object(paragraph, at).get("sentences"), "sentences", at):
            tokens = [_object(one, at) for one in _list(_object(sentence, at).get("tokens"), "tokens", at)]
            yield Record(number, [one.get("orth") for one in tokens], [one.get("ner") for one in tokens], number)


_LAYOUTS: Mapping[Format, Callable[[DatasetConfig], Layout]] = {
    "json": _flat,
    "label-studio": lambda config: label_studio_texts,
    "spacy": _spacy,
}


def _object(value: Any, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        problem = f"is a JSON {type(value).__name__}, not an object: {shortened(value)}"
        raise CorpusError(at, problem, "write one object per line, e.g. by `jq -c '.[]'`")
    return value


def _list(value: Any, what: str, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise CorpusError(at, f"has no list of {what}: {shortened(value)}", "check the `format` of the data set")
    return value
