"""The tables `confusion` and `errors`: gold and predicted entities in pairs.

`errors` has every entity that is missed, spurious, or has another type or other boundaries.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.tables.schemas import IDENTITY, schema
from nerbench.tasks.data.arrow_cache import table_from_batches
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.scoring.entities import Entities, Flags, Indices, extract
from nerbench.tasks.scoring.entity_pairs import Pairs, pair_entities
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.tagged_words import TaggedWords, lowest_scores

Numbers = npt.NDArray[np.float64]


class Aligned(NamedTuple):
    """Entities decoded as in `strict`, and which of them are paired."""

    gold: Entities
    predicted: Entities
    pairs: Pairs
    """One-to-one pairs of overlapping entities; entities with the same boundaries are always paired."""

    @property
    def same_boundaries(self) -> Flags:
        """(pairs,)"""
        gold, predicted = self.pairs
        same: Flags = (self.gold.start[gold] == self.predicted.start[predicted]) & (
            self.gold.end[gold] == self.predicted.end[predicted]
        )
        return same

    @property
    def same_type(self) -> Flags:
        """(pairs,)"""
        gold, predicted = self.pairs
        same: Flags = self.gold.type[gold] == self.predicted.type[predicted]
        return same


def align(part: TaggedWords) -> Aligned:
    """Pair the entities of a part: as many pairs as possible, then as many of the same type (see `pair_entities`)."""
    starts = part.sentence_starts
    gold, predicted = (extract(codes, starts, "strict") for codes in (part.gold, part.predicted))
    return Aligned(gold, predicted, pair_entities(gold, predicted, prefer="span"))


BOUNDARIES = ("none", "overlap", "same")


def confusion(parts: Iterable[TaggedWords]) -> list[Row]:
    """Rows of the table `confusion` without its identity columns: one per gold type, predicted type and `boundaries`.

    Gold and predicted entities, decoded as in `strict`, are paired one-to-one if they overlap (`scoring/entities.py`),
    so that each counts once: the `n` of rows with a `gold_label` add up to the gold entities of that type, those with a
    `pred_label` to the predicted ones. Right entities have the same type and the `same` boundaries. Entities without a
    pair are counted against `O`, with the boundaries `none`.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for part in parts:
        counts.update(dict(_cells(part)))
    return [
        {"gold_label": gold, "pred_label": predicted, "boundaries": boundaries, "n": n}
        for (gold, predicted, boundaries), n in sorted(counts.items())
    ]


def _cells(part: TaggedWords) -> Iterator[tuple[tuple[str, str, str], int]]:
    """The non-empty cells of one part."""
    aligned = align(part)
    gold, predicted, (gold_at, pred_at) = aligned
    labels = (*part.types, OUTSIDE)
    outside = len(part.types)
    missed, spurious = np.delete(gold.type, gold_at), np.delete(predicted.type, pred_at)
    rows = np.concatenate([gold.type[gold_at], missed, np.full(len(spurious), outside)])
    columns = np.concatenate([predicted.type[pred_at], np.full(len(missed), outside), spurious])
    kinds = np.concatenate([1 + aligned.same_boundaries, np.zeros(len(missed) + len(spurious), np.int64)])
    shape = (len(labels), len(labels), len(BOUNDARIES))
    cells = np.bincount(np.ravel_multi_index((rows, columns, kinds), shape), minlength=int(np.prod(shape)))
    for cell in np.flatnonzero(cells):
        row, column, kind = np.unravel_index(cell, shape)
        yield (labels[row], labels[column], BOUNDARIES[kind]), int(cells[cell])


SCHEMA = pa.schema([field for field in schema("errors") if field.name not in {"run_date", *IDENTITY}])
KINDS = ("missed", "spurious", "type", "boundary", "type+boundary")
MISSED, SPURIOUS, TYPE, BOUNDARY, TYPE_AND_BOUNDARY = range(len(KINDS))
LONGEST = 200
"""Maximum length, in words, of a sentence that is stored whole. A sentence of 10,000 words, stored with each of its
errors, would fill a disk."""
NONE = -1


class Spans(NamedTuple):
    """The gold or the predicted entities of the errors, one element per error; NONE if an error has none."""

    start: Indices
    end: Indices
    type: Indices

    @property
    def there(self) -> Flags:
        """(errors,) whether the error has such an entity."""
        there: Flags = self.start != NONE
        return there


class Wrong(NamedTuple):
    """Errors in the order of their words; all arrays have one element per error, and positions are within the part."""

    gold: Spans
    predicted: Spans
    kind: Indices
    """Index in KINDS."""
    low: Indices
    """First word of either entity."""
    high: Indices
    """Position after the last word of the two entities."""


def errors(parts: Iterable[TaggedWords]) -> pa.Table:
    """Rows of the table `errors` without its identity columns, in the order of the words.

    Gold and predicted entities, decoded as in `strict`, are paired one-to-one if they overlap (`scoring/entities.py`),
    so that each is in at most one row: `type` (same boundaries, other type), `boundary` (same type, other boundaries),
    `type+boundary`, `missed` (a gold entity without a pair), `spurious` (a predicted one without a pair). Therefore,
    all kinds but `spurious` have n_gold − tp rows, and all but `missed` n_pred − tp. For a sentence of more than
    LONGEST words, the text has the entities and LONGEST / 2 words on either side.
    """
    return table_from_batches((_batch(part, _wrong(align(part))) for part in parts), SCHEMA)


def _wrong(aligned: Aligned) -> Wrong:
    wrong = ~(aligned.same_boundaries & aligned.same_type)
    kind = np.select([aligned.same_boundaries[wrong], aligned.same_type[wrong]], [TYPE, BOUNDARY], TYPE_AND_BOUNDARY)
    missed = np.delete(np.arange(len(aligned.gold.start)), aligned.pairs.gold)
    spurious = np.delete(np.arange(len(aligned.predicted.start)), aligned.pairs.predicted)
    gold = _spans(aligned.gold, [aligned.pairs.gold[wrong], missed, np.full_like(spurious, NONE)])
    predicted = _spans(aligned.predicted, [aligned.pairs.predicted[wrong], np.full_like(missed, NONE), spurious])
    kind = np.concatenate([kind, np.full_like(missed, MISSED), np.full_like(spurious, SPURIOUS)])
    low = np.minimum(
        np.where(gold.there, gold.start, predicted.start), np.where(predicted.there, predicted.start, gold.start)
    )
    high = np.maximum(gold.end, predicted.end)
    order = np.lexsort((kind, high, low))
    gold, predicted = (Spans(*(values[order] for values in spans)) for spans in (gold, predicted))
    return Wrong(gold, predicted, kind[order], low[order], high[order])


def _spans(entities: Entities, at: Sequence[Indices]) -> Spans:
    """The entities at these positions; NONE stays NONE."""
    indices = np.concatenate(at)
    # The element for NONE, which is the last position: one more than there are entities.
    return Spans(*(np.append(values, NONE)[indices] for values in (entities.start, entities.end, entities.type)))


def _batch(part: TaggedWords, wrong: Wrong) -> pa.RecordBatch:
    gold, predicted = wrong.gold, wrong.predicted
    bounds = np.append(np.flatnonzero(part.sentence_starts), len(part.gold))
    sentence = np.searchsorted(bounds, wrong.low, side="right") - 1
    first, last = bounds[sentence], bounds[sentence + 1]
    judged = [np.where(predicted.there, ours, theirs) for ours, theirs in zip(predicted[:2], gold[:2], strict=True)]
    score = lowest_scores(part, *judged)
    columns = {
        "kind": pa.array(np.array(KINDS)[wrong.kind], pa.string()),
        "document": _numbers(part.document, wrong.low),
        "sentence": _numbers(part.sentence, wrong.low),
        **_entity("gold", gold, part, first),
        **_entity("pred", predicted, part, first),
        "sentence_text": _joined(part.text, *_context(wrong, first, last)),
        "score": pa.array(score, pa.float32(), mask=np.isnan(score)),
        "invalid": pa.array(_read_otherwise(part, wrong.low, wrong.high)),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _entity(side: str, spans: Spans, part: TaggedWords, first: Indices) -> dict[str, pa.Array]:
    """Columns about the gold (`gold`) or the predicted (`pred`) entities; null if there is none."""
    none = ~spans.there
    labels = np.array([*part.types, ""], object)
    return {
        f"{side}_start": pa.array(spans.start - first, pa.int32(), mask=none),
        f"{side}_end": pa.array(spans.end - first, pa.int32(), mask=none),
        f"{side}_label": pa.array(labels[spans.type], pa.string(), mask=none),
        f"{side}_text": pc.if_else(pa.array(none), None, _joined(part.text, spans.start, spans.end)),
    }


def _numbers(numbers: Indices | None, at: Indices) -> pa.Array:
    return pa.nulls(len(at), pa.int32()) if numbers is None else pa.array(numbers[at], pa.int32())


def _context(wrong: Wrong, first: Indices, last: Indices) -> tuple[Indices, Indices]:
    """Start and end of the text of each error's sentence."""
    fits = last - first <= LONGEST
    start = np.where(fits, first, np.maximum(first, wrong.low - LONGEST // 2))
    return start, np.where(fits, last, np.minimum(last, wrong.high + LONGEST // 2))


def _joined(text: pa.ChunkedArray | None, start: Indices, end: Indices) -> pa.Array:
    """(spans,) the words from each `start` up to `end`, with blanks between them; null if the words are unknown."""
    if text is None:
        return pa.nulls(len(start), pa.string())
    lengths = end - start
    offsets = np.append(0, np.cumsum(lengths))
    words = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths)
    taken = text.take(pa.array(words)).cast(pa.string()).combine_chunks()
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), taken), " ")


def _read_otherwise(part: TaggedWords, low: Indices, high: Indices) -> Flags:
    """Whether conlleval decodes an entity among the words from `low` up to `high` that strict does not.

    Such entities begin with `I-`, in the predictions or in the annotation.
    """
    opened = np.zeros(len(part.gold) + 1, np.int64)
    for codes in (part.gold, part.predicted):
        read = extract(codes, part.sentence_starts, "conlleval")
        loose = codes[read.start] & 1 == 0
        opened[read.start[loose]] += 1
        opened[read.end[loose]] -= 1
    before = np.append(0, np.cumsum(np.cumsum(opened) > 0))
    found: Flags = before[high] > before[low]
    return found
