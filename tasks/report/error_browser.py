"""The errors of all entries, and the flips since the baselines, as columns that a page unpacks on demand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.tasks.analysis.errors import LONGEST
from nerbench.tasks.comparison.flips import Entity, Flip
from nerbench.tasks.data.arrow_cache import table_from_batches
from nerbench.tasks.report.baselines import Compared
from nerbench.tasks.report.formats import PackedRows, packed
from nerbench.tasks.report.model_scores import ModelScores, StoredTable
from nerbench.tasks.scoring.metrics import Row

Plain = dict[str, Any]
MOST = 100_000
"""Maximum number of errors in a page."""
MOST_FLIPS = 20_000
LARGEST = 7_000_000
"""Maximum size of the packed errors in characters: half of the size of a page."""
_COLUMNS = (
    *("kind", "sentence", "document", "gold_start", "gold_end", "gold_label", "gold_text"),
    *("pred_start", "pred_end", "pred_label", "pred_text", "sentence_text", "score", "invalid"),
)
_SPANS = ("gold_start", "gold_end", "pred_start", "pred_end")


def packed_errors(table: StoredTable, entries: Mapping[int, ModelScores], *, text: bool) -> PackedRows:
    """The errors of entries, by position, as columns.

    If there are too many or they are too large, only every second, third, … error is kept, over all entries.
    """
    total = sum(map(table.count, entries.values()))
    step = max(1, -(-total // MOST))
    while True:
        found = _packed(table, entries, step, text=text)
        if len(found.text) <= LARGEST:
            return found._replace(total=total)
        step = max(step + 1, -(-step * len(found.text) // LARGEST))


def _packed(table: StoredTable, entries: Mapping[int, ModelScores], step: int, *, text: bool) -> PackedRows:
    kinds, labels = _Once(), _Once()

    def batches() -> Iterator[pa.RecordBatch]:
        seen = 0
        for at, entry in entries.items():
            sample = table.sample(entry, _COLUMNS, -seen % step, step)
            for part in sample.rows.to_batches():
                rows = [_values_of(at, row, kinds, labels, text=text) for row in part.to_pylist()]
                columns = map(pa.array, zip(*rows, strict=True), _SCHEMA.types)
                yield pa.RecordBatch.from_arrays(list(columns), schema=_SCHEMA)
            seen += sample.total

    rows = table_from_batches(batches(), _SCHEMA)
    positions, sentences = _distinct(rows["text"])
    columns = {name: _values(rows[name].chunks) for name in _SCHEMA.names} | {"text": _values([positions])}
    lists = {"kinds": kinds.values, "labels": labels.values, "sentences": sentences}
    return PackedRows(packed({"columns": columns, **lists}), len(rows), len(rows))


_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("entry", "kind", "sentence", "document", "gs", "ge", "ps", "pe", "gold", "pred"), pa.int32()),
        **dict.fromkeys(("gold_text", "pred_text", "text"), pa.string()),
        "located": pa.int8(),
        "score": pa.float64(),
        "invalid": pa.int8(),
    }
)


def _values_of(entry: int, row: Row, kinds: "_Once", labels: "_Once", *, text: bool) -> tuple[Any, ...]:
    """The values of an error, in the order of the schema."""
    sentence = row["sentence_text"] if text else None
    spans = located(row) if sentence is not None else None
    texts = (row["gold_text"], row["pred_text"]) if text and spans is None else (None, None)
    return (
        entry,
        kinds.at(row["kind"]),
        row["sentence"],
        row["document"],
        *(spans or (row[name] for name in _SPANS)),
        labels.at(row["gold_label"]),
        labels.at(row["pred_label"]),
        *texts,
        sentence,
        int(spans is not None),
        None if row["score"] is None else round(row["score"], 3),
        int(bool(row["invalid"])),
    )


def _distinct(texts: pa.ChunkedArray) -> tuple[pa.Array, Iterator[str]]:
    """The position of each text among the distinct ones (null stays null), and these, in order of appearance.

    Ranks take a few bytes a text; a dictionary takes several times the memory of the texts.
    """
    ranks = np.asarray(pc.rank(texts, tiebreaker="dense"), np.int64) - 1
    first = np.unique(ranks, return_index=True)[1]
    known, is_first = np.asarray(texts.is_valid()), np.zeros(len(texts), np.bool_)
    is_first[first] = known[first]
    positions = (np.cumsum(is_first) - 1)[first][ranks]
    distinct = (text for text, is_new in zip(_values(texts.chunks), is_first, strict=True) if is_new)
    return pa.array(positions, mask=~known), distinct


def _values(chunks: Iterable[pa.Array]) -> Iterator[Any]:
    return (value for chunk in chunks for value in chunk.to_pylist())


class _Once:
    """Distinct values."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._at: dict[Any, int] = {}

    def at(self, value: Any) -> int | None:
        """The position of a value; None stays None."""
        if value is None:
            return None
        if value not in self._at:
            self._at[value] = len(self.values)
            self.values.append(value)
        return self._at[value]


def located(row: Row) -> tuple[int | None, ...] | None:
    """The positions of the entities' words in the text of an error; None if the words are not at the expected
    positions.

    The text of a very long sentence is an excerpt (`tasks/analysis/errors.py`), and a word may contain blanks.
    """
    words = row["sentence_text"].split(" ")
    starts = [row[name] for name in ("gold_start", "pred_start") if row[name] is not None]
    for shift in (0, max(0, min(starts) - LONGEST // 2)):
        gs, ge, ps, pe = (None if row[name] is None else row[name] - shift for name in _SPANS)
        if _has_text(words, gs, ge, row["gold_text"]) and _has_text(words, ps, pe, row["pred_text"]):
            return gs, ge, ps, pe
    return None


def _has_text(words: Sequence[str], start: int | None, end: int | None, text: str | None) -> bool:
    return start is None or " ".join(words[start:end]) == text


def packed_flips(compared: Mapping[int, Compared], *, text: bool) -> PackedRows:
    """The flips of all entries; if there are more than MOST_FLIPS, every second, third, … of them."""
    total = sum(len(one.flips) for one in compared.values())
    step = max(1, -(-total // MOST_FLIPS))
    sentences = _Once()

    def rows() -> Iterator[Plain]:
        seen = 0
        for at, one in sorted(compared.items()):
            for flip in islice(one.flips, -seen % step, None, step):
                yield _plain_flip(at, flip, sentences, text=text)
            seen += len(one.flips)

    # The rows are written first: they fill the list of sentences.
    return PackedRows(packed({"rows": rows(), "sentences": sentences.values}), -(-total // step), total)


def _plain_flip(at: int, flip: Flip, sentences: _Once, *, text: bool) -> Plain:
    words = flip.sentence_text if text else None
    if words is not None and not _has_text(words.split(" "), flip.start, flip.end, flip.text):
        words = None  # a word that contains blanks: positions would mark other words
    return {
        "entry": at,
        "kind": flip.kind,
        "document": flip.document,
        "sentence": flip.sentence,
        "start": flip.start,
        "end": flip.end,
        "label": flip.label,
        "gold": _spans(flip.gold),
        "base": _spans(flip.base),
        "candidate": _spans(flip.candidate),
        "text": sentences.at(words),
    }


def _spans(found: Iterable[Entity]) -> list[tuple[int, int, str]]:
    return [(one.start, one.end, one.type) for one in found]
