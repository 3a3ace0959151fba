"""The errors of all entries, and the flips since the baselines, as columns that a page unpacks on demand."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from nerbench.tasks.analysis.errors import LONGEST
from nerbench.tasks.comparison.flips import Entity, Flip
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
    rows = _read(table, entries, step, text=text)
    return PackedRows(packed(rows.plain()), len(rows), len(rows))


def _read(table: StoredTable, entries: Mapping[int, ModelScores], step: int, *, text: bool) -> "_Columns":
    columns, seen = _Columns(text=text), 0
    for at, entry in entries.items():
        sample = table.sample(entry, _COLUMNS, -seen % step, step)
        while sample.parts:
            for row in sample.parts.pop(0).to_pylist():
                columns.add(at, row)
        seen += sample.total
    return columns


class _Columns:
    """Errors by column; repeated values are stored once and referenced by position."""

    def __init__(self, *, text: bool) -> None:
        self._text = text
        self._kinds, self._labels, self._sentences = _Once(), _Once(), _Once()
        self._columns: dict[str, list[Any]] = {name: [] for name in _NAMES}

    def __len__(self) -> int:
        return len(self._columns["entry"])

    def add(self, entry: int, row: Row) -> None:
        """Add one row of `errors`."""
        sentence = row["sentence_text"] if self._text else None
        spans = located(row) if sentence is not None else None
        texts = (row["gold_text"], row["pred_text"]) if self._text and spans is None else (None, None)
        positions = spans or tuple(row[name] for name in _SPANS)
        values = (
            entry,
            self._kinds.at(row["kind"]),
            row["sentence"],
            row["document"],
            *positions,
            self._labels.at(row["gold_label"]),
            self._labels.at(row["pred_label"]),
            *texts,
            self._sentences.at(sentence),
            int(spans is not None),
            None if row["score"] is None else round(row["score"], 3),
            int(bool(row["invalid"])),
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def plain(self) -> Plain:
        """The columns by name, with the lists that their numbers refer to."""
        lists = {"kinds": self._kinds.values, "labels": self._labels.values, "sentences": self._sentences.values}
        return {"columns": self._columns, **lists}


_NAMES = (
    *("entry", "kind", "sentence", "document", "gs", "ge", "ps", "pe", "gold", "pred"),
    *("gold_text", "pred_text", "text", "located", "score", "invalid"),
)


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
    rows: list[Plain] = []
    seen = 0
    for at, one in sorted(compared.items()):
        rows += [_plain_flip(at, flip, sentences, text=text) for flip in islice(one.flips, -seen % step, None, step)]
        seen += len(one.flips)
    return PackedRows(packed({"rows": rows, "sentences": sentences.values}), len(rows), total)


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
