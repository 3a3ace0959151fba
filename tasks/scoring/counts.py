"""What every metric is made of: counts of gold, predicted and right tags or entities, for each document and label.

Metrics of any slice or average come from sums over these, and so do resampling tests: see `tasks.scoring.metrics`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.corpora.columns import Column
from tasks.corpora.corpus import Corpus
from tasks.corpora.labels import tag_vocabulary
from tasks.scoring.entities import MODES, Codes, Flags, Indices, Mode, encode, extract, matches

Level = Literal["entity", "token"]
Unit = Literal["document", "sentence"]
COUNTS_SCHEMA = pa.schema(
    {
        "level": pa.dictionary(pa.int8(), pa.string()),
        "mode": pa.dictionary(pa.int8(), pa.string()),
        "label": pa.dictionary(pa.int32(), pa.string()),
        "unit": pa.dictionary(pa.int8(), pa.string()),
        "document": pa.int32(),
        "tp": pa.int64(),
        "n_pred": pa.int64(),
        "n_gold": pa.int64(),
        "n_words": pa.int64(),
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TagPair:
    """Gold and predicted tags of the same words."""

    types: tuple[str, ...]
    """Entity types, sorted."""
    gold: Codes
    """(words,) as of `entities.encode`."""
    predicted: Codes
    """(words,)"""
    sentence_starts: Flags
    """(words,)"""
    unit_of: Indices
    """(words,) the 0-based document, or sentence where there are no documents, of each word."""
    unit: Unit


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """Counts of one level and mode. A unit is a document, or a sentence where the corpus has no documents."""

    level: Level
    mode: str
    """entity: `strict` or `conlleval`; token: `tag`."""
    labels: tuple[str, ...]
    """entity: types; token: tags, `O` first."""
    unit: Unit
    tp: Indices
    """(units, labels) right ones."""
    n_pred: Indices
    """(units, labels)"""
    n_gold: Indices
    """(units, labels)"""
    n_words: Indices
    """(units,)"""


def pair(
    gold: Iterable[str] | pa.Array | pa.ChunkedArray,
    predicted: Iterable[str] | pa.Array | pa.ChunkedArray,
    *,
    types: Iterable[str],
    sentences: npt.ArrayLike,
    documents: npt.ArrayLike | None = None,
) -> TagPair:
    """Pair tags, one a word in corpus order, with the sentence and document numbers of the words.

    Args:
        gold, predicted: IOB2 tags of `types`, or columns of them.
        sentences, documents: (words,) each; a new number begins a new sentence or document.

    Raises:
        ValueError: a tag of another type, or arrays of different lengths.
    """
    kinds = tuple(sorted(set(types)))
    first, second = encode(gold, kinds), encode(predicted, kinds)
    ids = [np.asarray(numbers) for numbers in ([sentences] if documents is None else [sentences, documents])]
    if len({len(first), len(second), *map(len, ids)}) > 1:
        raise ValueError(f"{len(first)} gold tags, {len(second)} predicted ones, for {len(ids[0])} words")
    starts = [_changes(numbers) for numbers in ids]
    return TagPair(
        types=kinds,
        gold=first,
        predicted=second,
        sentence_starts=np.logical_or.reduce(starts),
        unit_of=np.cumsum(starts[-1]) - 1,
        unit="sentence" if documents is None else "document",
    )


def pair_corpus(
    corpus: Corpus, predicted: Iterable[str] | pa.Array | pa.ChunkedArray, *, types: Iterable[str]
) -> TagPair:
    """Pair a corpus's tags with predicted ones, one a word in corpus order."""
    return pair(
        Column.of(corpus.tags).flat,
        predicted,
        types=types,
        sentences=np.repeat(np.arange(len(corpus.lengths)), corpus.lengths),
        documents=None if corpus.documents is None else np.repeat(corpus.documents, corpus.lengths),
    )


def invalid_transitions(tags: TagPair) -> int:
    """Words predicted `I-` that continue no entity of their type: what the two entity modes differ in."""
    return extract(tags.predicted, tags.sentence_starts, "conlleval").n_invalid


def count_all(tags: TagPair) -> list[Counts]:
    """Entities in each mode, and tokens."""
    return [*(count_entities(tags, mode) for mode in MODES), count_tokens(tags)]


def count_entities(tags: TagPair, mode: Mode) -> Counts:
    """Entities by type. One is right if an entity of the same words and type is predicted."""
    gold = extract(tags.gold, tags.sentence_starts, mode)
    predicted = extract(tags.predicted, tags.sentence_starts, mode)
    right = matches(gold, predicted, len(tags.gold))
    n_labels = len(tags.types)
    return Counts(
        level="entity",
        mode=mode,
        labels=tags.types,
        unit=tags.unit,
        tp=_tally(tags.unit_of, gold.start[right], gold.type[right], n_labels),
        n_pred=_tally(tags.unit_of, predicted.start, predicted.type, n_labels),
        n_gold=_tally(tags.unit_of, gold.start, gold.type, n_labels),
        n_words=_words(tags),
    )


def count_tokens(tags: TagPair) -> Counts:
    """Words by tag, each tag against all others, `O` included."""
    labels = tuple(tag_vocabulary(tags.types))
    right = np.flatnonzero(tags.gold == tags.predicted)
    everywhere = slice(None)
    return Counts(
        level="token",
        mode="tag",
        labels=labels,
        unit=tags.unit,
        tp=_tally(tags.unit_of, right, tags.gold[right], len(labels)),
        n_pred=_tally(tags.unit_of, everywhere, tags.predicted, len(labels)),
        n_gold=_tally(tags.unit_of, everywhere, tags.gold, len(labels)),
        n_words=_words(tags),
    )


def concatenate(parts: Sequence[Sequence[Counts]], shares_unit: Sequence[bool]) -> list[Counts]:
    """The counts of a corpus from those of its consecutive parts, each as of `count_all`.

    `shares_unit`: for each part, whether its first unit is the last one of the part before.
    """
    units = [len(part[0].n_words) for part in parts]
    starts = np.cumsum([0, *units[:-1]]) - np.cumsum(shares_unit)

    def joined(arrays: Sequence[Indices]) -> Indices:
        total = np.zeros((starts[-1] + units[-1], *arrays[0].shape[1:]), np.int64)
        for start, array in zip(starts, arrays, strict=True):
            total[start : start + len(array)] += array
        return total

    names = ("tp", "n_pred", "n_gold", "n_words")
    return [
        replace(counts[0], **{name: joined([getattr(one, name) for one in counts]) for name in names})
        for counts in zip(*parts, strict=True)
    ]


def counts_to_table(counts: Sequence[Counts]) -> pa.Table:
    """One row a level, mode, unit and label (COUNTS_SCHEMA); `document` numbers the units, `n_words` is the unit's.

    Raises:
        ValueError: counts without any label, which no row could stand for.
    """
    if any(not one.labels for one in counts):
        raise ValueError("there are no entity types to count")
    return pa.concat_tables([_rows(one) for one in counts]).unify_dictionaries()


def counts_from_table(table: pa.Table) -> list[Counts]:
    """What `counts_to_table` was given; rows must be in its order."""
    kinds = table.group_by(["level", "mode"], use_threads=False).aggregate([]).to_pylist()
    return [
        _from_rows(table.filter((pc.field("level") == k["level"]) & (pc.field("mode") == k["mode"]))) for k in kinds
    ]


def _changes(numbers: npt.NDArray[np.generic]) -> Flags:
    changes = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=changes[1:])
    return changes


def _words(tags: TagPair) -> Indices:
    return np.bincount(tags.unit_of).astype(np.int64)


def _tally(unit_of: Indices, at: Indices | slice, labels: npt.NDArray[np.integer], n_labels: int) -> Indices:
    """(units, labels): how many of the words `at`, with these labels, lie in each unit."""
    n_units = int(unit_of[-1]) + 1 if len(unit_of) else 0
    flat = np.bincount(unit_of[at] * n_labels + labels, minlength=n_units * n_labels)
    return flat.reshape(n_units, n_labels).astype(np.int64)


def _rows(counts: Counts) -> pa.Table:
    n_units, n_labels = counts.tp.shape
    n_rows = n_units * n_labels
    constants = {"level": counts.level, "mode": counts.mode, "unit": counts.unit}
    codes = np.tile(np.arange(n_labels, dtype=np.int32), n_units)
    columns = {
        **{name: pa.DictionaryArray.from_arrays(np.zeros(n_rows, np.int8), [v]) for name, v in constants.items()},
        "label": pa.DictionaryArray.from_arrays(codes, list(counts.labels)),
        "document": np.repeat(np.arange(n_units, dtype=np.int32), n_labels),
        "tp": counts.tp.ravel(),
        "n_pred": counts.n_pred.ravel(),
        "n_gold": counts.n_gold.ravel(),
        "n_words": np.repeat(counts.n_words, n_labels),
    }
    return pa.table([columns[name] for name in COUNTS_SCHEMA.names], schema=COUNTS_SCHEMA)


def _from_rows(rows: pa.Table) -> Counts:
    n_units = pc.max(rows["document"]).as_py() + 1
    n_labels = len(rows) // n_units

    def matrix(name: str) -> Indices:
        numbers: Indices = rows[name].to_numpy().reshape(n_units, n_labels)
        return numbers

    return Counts(
        level=rows["level"][0].as_py(),
        mode=rows["mode"][0].as_py(),
        labels=tuple(rows["label"][:n_labels].to_pylist()),
        unit=rows["unit"][0].as_py(),
        tp=matrix("tp"),
        n_pred=matrix("n_pred"),
        n_gold=matrix("n_gold"),
        n_words=matrix("n_words")[:, 0],
    )
