"""Reads CSV with a header: one word per row, or one text per row with its spans as JSON in one cell.

The delimiter is the one of `,`, `;` and tab that occurs most often in the header. If there is a column of sentences, a
cell that is not empty and differs from the last one begins a sentence. Otherwise, an empty row ends a sentence.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Column, DatasetConfig
from nerbench.tasks.data.readers import Source, shortened
from nerbench.tasks.data.records import Record, TextColumns, find_columns, read_records, record_of
from nerbench.tasks.data.spans import Text
from nerbench.tasks.data.text_files import read_lines

WORD_COLUMNS: dict[Column, tuple[str, ...]] = {
    "words": ("word", "words", "token", "tokens"),
    "tags": ("tag", "tags", "ner_tag", "ner_tags", "ner", "label"),
    "sentence": ("sentence", "sentence #", "sentence_id", "sent_id"),
}
"""Usual names of the columns, regardless of case."""
_LONGEST_CELL = 1 << 23


def read_csv(path: str, config: DatasetConfig) -> Source:
    """The sentences of one file, local or any fsspec URL; rows count from 1, the header.

    Reading raises CorpusError: the file is missing, lacks a column, or has a row that is not a sentence.
    """
    sentences = read_records(_records(path, config), lambda at: f"{path} row {at}", config)
    return Source(path, sentences, lambda at, word: f"{path} row {at} word {word}")


def _records(path: str, config: DatasetConfig) -> Iterator[Record | Text]:
    lines = (f"{line}\n" for line in read_lines(path, config.encoding))
    header = next(lines, "")
    delimiter = max(",;\t", key=header.count)
    csv.field_size_limit(_LONGEST_CELL)
    rows = _rows(path, csv.reader(chain([header], lines), delimiter=delimiter, strict=True))
    _, names = next(rows, (1, []))
    columns = _columns(names, path, config)
    if isinstance(columns, TextColumns):
        positions = [None if name is None else names.index(name) for name in columns]
        for number, row in rows:
            if row:
                cells = [None if position is None else row[position] for position in positions]
                spans, tokens = (_json(cell, f"{path} row {number}") for cell in cells[1:3])
                yield record_of(number, columns, [cells[0], spans, tokens, cells[3]])
    else:
        yield from _grouped(rows, [None if name is None else names.index(name) for name in columns])


def _columns(names: Sequence[str], path: str, config: DatasetConfig) -> Any:
    if "words" not in config.columns and {"text", "spans"} & {*config.columns, *names}:
        return find_columns(names, path, config)
    usual = {
        what: next((name for name in names if name.strip().lower() in known), None)
        for what, known in WORD_COLUMNS.items()
    }
    found = [str(config.columns[w]) if w in config.columns else usual.get(w) for w in ("words", "tags", "sentence")]
    found.append(str(config.columns["document"]) if "document" in config.columns else None)
    for what, name in zip(("words", "tags", "sentence", "document"), found, strict=True):
        if (name is None and what in ("words", "tags")) or (name is not None and name not in names):
            problem = f"there is no column of {what}" if name is None else f"there is no column {name!r}"
            raise CorpusError(path, problem, f"columns.{what} can be one of {', '.join(names) or 'none'}")
    return found


def _rows(path: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Numbered rows, all as wide as the first; an empty one is a row of nothing."""
    width, number = 0, 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            place = f"{path} row {number + 1}"
            raise CorpusError(place, f"is not valid CSV ({error})", "correct its quotes") from error
        if row is None:
            return
        number += 1
        row = row if any(cell.strip() for cell in row) else []
        width = width or len(row)
        if row and len(row) != width:
            problem = f"has {len(row)} cells, the header {width}: {shortened(','.join(row))}"
            raise CorpusError(f"{path} row {number}", problem, "correct it, or quote cells that hold the delimiter")
        yield number, row


def _grouped(rows: Iterator[tuple[int, list[str]]], positions: Sequence[int | None]) -> Iterator[Record]:
    word, tag, sentence, document = positions
    words: list[str] = []
    tags: list[str] = []
    at, current, its_document = 0, "", None
    for number, row in rows:
        name = row[sentence] if sentence is not None and row else ""
        if words and (not row or (name and name != current)):
            yield Record(at, words, tags, its_document)
            words, tags = [], []
        if not row:
            continue
        if not words:
            at = number
            its_document = (row[document] or its_document) if document is not None else None
        current = name or current
        words.append(row[word])  # type: ignore[index]
        tags.append(row[tag])  # type: ignore[index]
    if words:
        yield Record(at, words, tags, its_document)


def _json(cell: str | None, at: str) -> Any:
    if cell is None:
        return None
    try:
        return json.loads(cell or "[]")
    except (ValueError, RecursionError) as error:
        problem = f"is not valid JSON ({error}): {shortened(cell)}"
        raise CorpusError(at, problem, "write spans as [[start, end, label]]") from error
