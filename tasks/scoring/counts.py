"""The counts behind every metric: gold, predicted and correct entities or tags, by document, label and slice.

Entities are decoded from tags by `entities.extract`. Each exact-match mode has its own counts:

- `strict`, `conlleval`, `discard`: a prediction is right if a gold entity has the same words and type. For IOB2 tags,
  `discard` has the entities of `strict`.

Inexact matching (SemEval-2013 task 9, Segura-Bedmar et al. 2013, after MUC-5, Chinchor & Sundheim 1993) decodes
entities as `strict` does. It first pairs entities that share a word, each with at most one other
(`entity_pairs.pair_entities`): in the mode `type` with the preference `type`, in the other modes with `span`. Then a
pair is

- `exact`: right if both have the same words, whatever their types;
- `partial`: right if both have the same words, otherwise half right (`n_partial`), whatever their types;
- `type`: right if both have the same type, whatever their other words;
- `span`: like `exact`, but without types: the only label is `overall`, with the numbers of `exact`.

The modes `discard` and `span` repeat numbers of other modes, so they are counted only on request.

Gold entities are counted by their type (MUC's possible). Predictions are counted by the type of the gold entity that
they are paired with, otherwise by their own (MUC's actual). Therefore, nothing counts twice, and the counts of labels
add up to the overall ones. Pairs depend only on positions and types, not on the order of a list.

At token level, in the mode `tag`, a word is right if its tag is right; all tags are labels, including `O`.

An entity belongs to the unit of its first word. So does an invalid transition: an `I-` word that continues no entity of
its type (`n_invalid`, counted by that type).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nerbench.tasks.config.schema_base import DEFAULT_MODES, Mode
from nerbench.tasks.data.arrow_cache import array_from_blocks
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.entities import (
    Codes,
    Entities,
    Flags,
    Indices,
    extract,
    identical,
)
from nerbench.tasks.scoring.entity_pairs import Preference, pair_entities
from nerbench.tasks.scoring.slices import EVERYTHING, Slice
from nerbench.tasks.scoring.tagged_words import TaggedWords
from nerbench.tasks.statistics.resampling import Units

Level = Literal["entity", "token"]
COLUMNS = ("tp", "n_partial", "n_pred", "n_gold", "n_invalid")
OVERALL = "overall"
"""The label for all entity types together."""
COUNTS_SCHEMA = pa.schema(
    {
        "level": pa.string(),
        "mode": pa.string(),
        "slice": pa.string(),
        "labels": pa.list_(pa.string()),
        "unit": pa.string(),
        "unit_size": pa.int64(),
        "n_documents": pa.int64(),
        "values": pa.list_(pa.int64()),
        "n_words": pa.list_(pa.int64()),
    }
)
_INEXACT: tuple[tuple[Preference, tuple[str, ...]], ...] = (("span", ("exact", "partial", "span")), ("type", ("type",)))
"""Modes by their preference for pairing entities."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Counts of one level, mode and slice."""

    level: Level
    mode: str
    slice: str
    """`all`, or the name of a slice."""
    labels: tuple[str, ...]
    """Entity level: types, in `span` only `overall`. Token level: tags, `O` first."""
    units: Units
    values: npt.NDArray[np.integer]
    """(units, labels, COLUMNS), of a type as small as their size allows: with many labels and slices, they take most of
    the memory of scoring."""
    n_words: Indices
    """(units,) number of words in each, whatever the slice."""
    documents: Indices | None = None
    """(units,) the document of each unit, if units are sentences of a corpus with documents."""

    def column(self, name: str) -> Indices:
        """(units, labels) one of the COLUMNS."""
        numbers: Indices = self.values[:, :, COLUMNS.index(name)].astype(np.int64, copy=False)
        return numbers

    def of_labels(self, labels: Sequence[str]) -> "Counts":
        """The counts of some labels, in their order."""
        return replace(self, labels=tuple(labels), values=self.values[:, [self.labels.index(one) for one in labels]])


def count(
    parts: Iterable[TaggedWords], slices: Sequence[Slice] = (), modes: Collection[Mode] = DEFAULT_MODES
) -> list[Counts]:
    """Count the consecutive parts of a corpus in some modes, and within each slice in the exact-match modes.

    `strict` and the token level are always included.

    A right prediction has the words and the type of its gold entity, so both are in the same slices. The entities of an
    inexact pair may be in different slices, so the other modes have no slices. Whether an entity is in a slice must not
    depend on other entities.

    Raises:
        ValueError: There is no part.
    """
    totals: dict[tuple[str, str], Counts] = {}
    for part in parts:
        if not totals:
            every = _zeros(part, [one.name for one in slices])
            totals = {(one.mode, one.slice): one for one in every if one.mode in {"strict", "tag", *modes}}
        if len(part.gold):
            _add(totals, part, slices)
    if not totals:
        raise ValueError("there are no words to count")
    return list(totals.values())


def count_both_ways(
    parts: Callable[[], Iterable[TaggedWords]], slices: Sequence[Slice] = (), modes: Collection[Mode] = DEFAULT_MODES
) -> list[Counts]:
    """Count the parts of a corpus by document and by sentence; only by sentence if it has no documents.

    Args:
        parts: Returns the consecutive parts, again at each call.
        slices, modes: As in `count`.
    """
    whole = count(parts(), slices, modes)
    if whole[0].units.kind == "sentence":
        return whole
    starts = (part.document[part.sentence_starts] for part in parts() if part.document is not None)
    documents = array_from_blocks(starts, np.int64)
    units = Units.of(n_sentences=len(documents), n_documents=None)
    by_sentence = count((replace(part, units=units) for part in parts()), slices, modes)
    of_units = documents[:: units.size].copy()
    return [*whole, *(replace(one, documents=of_units) for one in by_sentence)]


def without_tokens(counts: Iterable[Counts]) -> list[Counts]:
    """The counts of entities. Counts of words are not defined for an aligned annotation, which has other words."""
    return [one for one in counts if one.level == "entity"]


def counts_to_table(counts: Sequence[Counts]) -> pa.Table:
    """One row per level, mode and slice (COUNTS_SCHEMA); `values` is units × labels × COLUMNS in one list."""
    columns = {
        "level": [one.level for one in counts],
        "mode": [one.mode for one in counts],
        "slice": [one.slice for one in counts],
        "labels": [one.labels for one in counts],
        "unit": [one.units.kind for one in counts],
        "unit_size": [one.units.size for one in counts],
        "n_documents": [one.units.n_documents for one in counts],
        "values": _lists([one.values.ravel().astype(np.int64) for one in counts]),
        "n_words": _lists([one.n_words for one in counts]),
    }
    return pa.table(columns, schema=COUNTS_SCHEMA)


def counts_from_table(table: pa.Table) -> list[Counts]:
    """The counts that `counts_to_table` was given."""
    return [_from_row(table.slice(row, 1)) for row in range(len(table))]


def _lists(arrays: Sequence[Indices]) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.concatenate(arrays))


def _from_row(row: pa.Table) -> Counts:
    (known,) = row.drop_columns(["values", "n_words"]).to_pylist()
    values, n_words = (row[name][0].values.to_numpy() for name in ("values", "n_words"))
    return Counts(
        level=known["level"],
        mode=known["mode"],
        slice=known["slice"],
        labels=tuple(known["labels"]),
        units=Units(known["unit"], known["unit_size"], len(n_words), known["n_documents"]),
        values=_small(values).reshape(len(n_words), len(known["labels"]), len(COLUMNS)),
        n_words=n_words,
    )


def _small(values: Indices) -> npt.NDArray[np.integer]:
    most = values.max(initial=0)
    return values.astype(np.uint16 if most < 1 << 16 else np.int32 if most < 1 << 31 else np.int64)


def _zeros(part: TaggedWords, slices: Sequence[str]) -> list[Counts]:
    """Zeros to which the parts are added."""
    n_words = np.zeros(part.units.n, np.int64)

    def zeros(level: Level, mode: str, labels: Sequence[str], slice_: str = EVERYTHING) -> Counts:
        return Counts(
            level=level,
            mode=mode,
            slice=slice_,
            labels=tuple(labels),
            units=part.units,
            values=np.zeros((part.units.n, len(labels), len(COLUMNS)), np.uint16),
            n_words=n_words,
        )

    def exact_match(slice_: str) -> list[Counts]:
        strict, conlleval = (zeros("entity", mode, part.types, slice_) for mode in ("strict", "conlleval"))
        # Both have the same entities, and therefore the same arrays.
        return [strict, conlleval, replace(strict, mode="discard")]

    return [
        *exact_match(EVERYTHING),
        *(zeros("entity", mode, part.types) for mode in ("exact", "partial", "type")),
        zeros("entity", "span", [OVERALL]),
        zeros("token", "tag", tag_vocabulary(part.types)),
        *(one for name in slices for one in exact_match(name)),
    ]


def _add(totals: dict[tuple[str, str], Counts], part: TaggedWords, slices: Sequence[Slice]) -> None:
    unit = part.unit_of
    first, n_units = unit[0], int(unit[-1] - unit[0]) + 1
    unit -= first
    units = np.s_[first : first + n_units]
    n_words = totals["tag", EVERYTHING].n_words
    n_words[units] += np.bincount(unit)
    if n_words[units].max() >= 1 << 16:  # no count exceeds the number of words of its unit
        _widen(totals)
    for marks in match_events_of(part, slices):
        total = totals.get((marks.mode, marks.slice))
        if total is None:
            continue
        n_labels = len(total.labels)
        found = np.bincount(unit[marks.at] * n_labels + marks.label, minlength=n_units * n_labels)
        more = found.reshape(n_units, n_labels).astype(total.values.dtype)
        total.values[units, :, COLUMNS.index(marks.column)] += more


def _widen(totals: dict[tuple[str, str], Counts]) -> None:
    """Make room for large counts; modes that have the same array keep it in common."""
    wide = {id(one.values): one.values.astype(np.int64, copy=False) for one in totals.values()}
    totals |= {key: replace(one, values=wide[id(one.values)]) for key, one in totals.items()}


class MatchEvents(NamedTuple):
    """The counts that one part of a corpus adds to one column."""

    mode: str
    slice: str
    column: str
    at: Indices
    """The words at which it counts."""
    label: npt.NDArray[np.integer]
    """The number of the label for each word."""


def match_events_of(part: TaggedWords, slices: Sequence[Slice]) -> Iterator[MatchEvents]:
    """Everything to count in every mode, and within each slice in the exact-match modes.

    `discard` is left out: its entities and counts are those of `strict`.
    """
    gold, predicted = (_read(codes, part.sentence_starts) for codes in (part.gold, part.predicted))
    yield from _exact_match(part, gold, predicted, slices)
    yield from _inexact_match(gold.entities.at(gold.is_strict), predicted.entities.at(predicted.is_strict))
    yield from _tokens(part)


class _Reading(NamedTuple):
    entities: Entities
    """Entities decoded as in `conlleval`."""
    is_strict: Flags
    """(entities,) whether the entity is also in `strict`."""


def _read(codes: Codes, sentence_starts: Flags) -> _Reading:
    entities = extract(codes, sentence_starts, "conlleval")
    return _Reading(entities, codes[entities.start] & 1 == 1)


def _exact_match(
    part: TaggedWords, gold_reading: _Reading, predicted_reading: _Reading, slices: Sequence[Slice]
) -> Iterator[MatchEvents]:
    (gold, strict_gold), (predicted, strict_predicted) = gold_reading, predicted_reading
    number = identical(gold, predicted, len(part.gold))
    right = number >= 0
    right_strict = right & strict_gold
    right_strict[right] &= strict_predicted[number[right]]
    everywhere = np.ones(len(gold.start), np.bool_), np.ones(len(predicted.start), np.bool_)
    inside = {EVERYTHING: everywhere} | {one.name: (one.of(part, gold), one.of(part, predicted)) for one in slices}
    for name, (in_gold, in_predicted) in inside.items():
        invalid = predicted.at(in_predicted & ~strict_predicted)
        for mode, tp, n_pred, n_gold in (
            ("conlleval", right & in_gold, in_predicted, in_gold),
            ("strict", right_strict & in_gold, strict_predicted & in_predicted, strict_gold & in_gold),
        ):
            columns = {"tp": gold.at(tp), "n_pred": predicted.at(n_pred), "n_gold": gold.at(n_gold)}
            for column, entities in (columns | {"n_invalid": invalid}).items():
                yield MatchEvents(mode, name, column, entities.start, entities.type)


def _inexact_match(gold: Entities, predicted: Entities) -> Iterator[MatchEvents]:
    """Inexact matches of entities decoded as in `strict`."""
    for prefer, modes in _INEXACT:
        pairs = pair_entities(gold, predicted, prefer=prefer)
        ours, theirs = gold.at(pairs.gold), predicted.at(pairs.predicted)
        same_words = (ours.start == theirs.start) & (ours.end == theirs.end)
        type_of_answer = predicted.type.copy()
        type_of_answer[pairs.predicted] = ours.type
        columns = {
            "tp": ours.at(same_words if prefer == "span" else ours.type == theirs.type),
            "n_pred": predicted._replace(type=type_of_answer),
            "n_gold": gold,
        }
        for mode in modes:
            more = {"n_partial": ours.at(~same_words)} if mode == "partial" else {}
            for column, entities in (columns | more).items():
                label = np.zeros_like(entities.type) if mode == "span" else entities.type
                yield MatchEvents(mode, EVERYTHING, column, entities.start, label)


def _tokens(part: TaggedWords) -> Iterator[MatchEvents]:
    every = np.arange(len(part.gold))
    right = np.flatnonzero(part.gold == part.predicted)
    yield MatchEvents("tag", EVERYTHING, "tp", right, part.gold[right])
    yield MatchEvents("tag", EVERYTHING, "n_pred", every, part.predicted)
    yield MatchEvents("tag", EVERYTHING, "n_gold", every, part.gold)
