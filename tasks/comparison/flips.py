"""The entities that flipped between two predictions of the same words: gained, lost, or changed in type or boundary."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.tasks.data.arrow_cache import chunked, table_from_batches
from nerbench.tasks.scoring.entities import Entities, Indices, components, extract, identical
from nerbench.tasks.scoring.tagged_words import TaggedWords, with_types

Kind = Literal["gained", "lost", "changed"]
KINDS: tuple[Kind, ...] = ("gained", "lost", "changed")


class Entity(NamedTuple):
    """An entity in a sentence."""

    start: int
    """Position of its first word in the sentence, from 0."""
    end: int
    """Position after its last word."""
    type: str


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A gold entity that only one side has right, or a region in which only wrong or spurious predictions differ."""

    kind: Kind
    document: int | None
    """Number in the split, from 0; None if there are no boundaries."""
    sentence: int
    """Number in the split, from 0."""
    start: int
    """First word in the sentence: of the gold entity that was gained or lost, otherwise of the whole region."""
    end: int
    """The word after the last one."""
    text: str | None
    """The words; None if the tables do not have them."""
    label: str
    """The type of the gold entity; in a changed region, that of its first gold, candidate or base entity."""
    gold: tuple[Entity, ...]
    """All gold entities of the region."""
    base: tuple[Entity, ...]
    """All entities of the region that base predicted."""
    candidate: tuple[Entity, ...]
    """All entities of the region that the candidate predicted."""
    sentence_text: str | None


def flips(base_parts: Iterable[TaggedWords], candidate_parts: Iterable[TaggedWords]) -> Iterator[Flip]:
    """The flips from base to candidate, in corpus order.

    Entities are decoded as in `strict`. A region is a connected component of overlapping gold, base and candidate
    entities in which base and candidate differ. Each gold entity of a region that only the candidate has right was
    `gained`, and each that only base has right was `lost`; a region with neither has `changed`. Therefore, gained minus
    lost equals the difference in true positives. Tags that belong to no entity can differ without a flip.

    The parts of the two sides may differ. Raises ValueError if words or gold differ.
    """
    for base, candidate in aligned_parts(base_parts, candidate_parts):
        if not np.array_equal(base.predicted, candidate.predicted):
            yield from _Part.of(base, candidate).flips()


def to_json(found: Iterable[Flip]) -> dict[str, list[dict[str, Any]]]:
    """Flips by kind, as plain values."""
    lists: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for flip in found:
        plain = _plain(flip)
        lists[plain.pop("kind")].append(plain)
    return lists


_SIDES = ("gold", "base", "candidate")
_ENTITIES = pa.list_(pa.struct({"start": pa.int32(), "end": pa.int32(), "type": pa.string()}))
_SCHEMA = pa.schema(
    {
        "kind": pa.string(),
        **dict.fromkeys(("document", "sentence", "start", "end"), pa.int32()),
        **dict.fromkeys(("text", "label"), pa.string()),
        **dict.fromkeys(_SIDES, _ENTITIES),
        "sentence_text": pa.string(),
    }
)


_IN_MEMORY = 1 << 24
"""Largest size in bytes of flips that stay in memory: 64 thousand flips in sentences of usual length."""


class Flips(Sequence[Flip]):
    """Flips in a table, which is on disk if there are many. Each is decoded on access; a list of the same is equal."""

    def __init__(self, found: Iterable[Flip] = ()) -> None:
        (self._table,) = _tables([found])

    @classmethod
    def together(cls, several: Iterable[Iterable[Flip]]) -> "list[Flips]":
        """The flips of several comparisons. All share one file, because each file needs a descriptor."""
        found = []
        for table in _tables(several):
            found.append(cls.__new__(cls))
            found[-1]._table = table
        return found

    def n(self, kind: Kind) -> int:
        """The number of flips of a kind."""
        return (pc.sum(pc.equal(self._table["kind"], kind)).as_py() or 0) if len(self) else 0

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Flip]:
        for batch in self._table.to_batches():
            yield from map(_from_plain, batch.to_pylist())

    @overload
    def __getitem__(self, index: int) -> Flip: ...
    @overload
    def __getitem__(self, index: slice) -> list[Flip]: ...
    def __getitem__(self, index: int | slice) -> Flip | list[Flip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        (plain,) = self._table.slice(range(len(self))[index], 1).to_pylist()
        return _from_plain(plain)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Flips | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self)} flips>"


def _tables(several: Iterable[Iterable[Flip]]) -> list[pa.Table]:
    """The flips of each comparison, all of them slices of one table."""
    ends = [0]

    def batches() -> Iterator[pa.RecordBatch]:
        for found in several:
            ends.append(ends[-1])
            for run in chunked(found):
                ends[-1] += len(run)
                yield pa.RecordBatch.from_pylist(list(map(_plain, run)), _SCHEMA)

    table = table_from_batches(batches(), _SCHEMA, _IN_MEMORY)
    return [table.slice(start, end - start) for start, end in pairwise(ends)]


def _plain(flip: Flip) -> dict[str, Any]:
    return vars(flip) | {side: [entity._asdict() for entity in getattr(flip, side)] for side in _SIDES}


def _from_plain(row: Mapping[str, Any]) -> Flip:
    entities = {side: tuple(Entity(**entity) for entity in row[side]) for side in _SIDES}
    return Flip(**(dict(row) | entities))


def aligned_parts(
    base_parts: Iterable[TaggedWords], candidate_parts: Iterable[TaggedWords]
) -> Iterator[tuple[TaggedWords, TaggedWords]]:
    """Parts of the same words of both sides, cut wherever one side is cut, with the entity types of both.

    Raises ValueError if words, sentences, documents or gold differ. Leaves out scores.
    """
    bases, candidates = ((part for part in parts if len(part.gold)) for parts in (base_parts, candidate_parts))
    base, candidate = next(bases, None), next(candidates, None)
    while base is not None and candidate is not None:
        n = min(len(base.gold), len(candidate.gold))
        yield _same_words(_cut(base, 0, n), _cut(candidate, 0, n))
        base = _cut(base, n, None) if n < len(base.gold) else next(bases, None)
        candidate = _cut(candidate, n, None) if n < len(candidate.gold) else next(candidates, None)
    if base is not candidate:
        raise ValueError("one side has more words than the other")


def _cut(tagged: TaggedWords, start: int, stop: int | None) -> TaggedWords:
    cut = slice(start, stop)
    return replace(
        tagged,
        gold=tagged.gold[cut],
        predicted=tagged.predicted[cut],
        sentence=tagged.sentence[cut],
        document=None if tagged.document is None else tagged.document[cut],
        first_word=tagged.first_word + start,
        text=None if tagged.text is None else tagged.text.slice(start, None if stop is None else stop - start),
        score=None,
    )


def _same_words(base: TaggedWords, candidate: TaggedWords) -> tuple[TaggedWords, TaggedWords]:
    """Both sides with the same types, and with the text if one of them has it."""
    types = tuple(sorted({*base.types, *candidate.types}))
    base, candidate = with_types(base, types), with_types(candidate, types)
    if not np.array_equal(base.gold, candidate.gold):
        raise ValueError("the two sides were scored against different gold tags")
    texts = [side.text for side in (base, candidate) if side.text is not None]
    same_text = len(texts) < 2 or texts[0].equals(texts[1].cast(texts[0].type))
    if not (same_text and np.array_equal(base.sentence, candidate.sentence) and _same_documents(base, candidate)):
        raise ValueError("the two sides were scored on different words")
    return replace(base, text=texts[0] if texts else None), candidate


def _same_documents(base: TaggedWords, candidate: TaggedWords) -> bool:
    if base.document is None or candidate.document is None:
        return base.document is candidate.document
    return np.array_equal(base.document, candidate.document)


class _Read(NamedTuple):
    """The entities of one tag sequence of a part."""

    entities: Entities
    region: Indices
    """(entities,) ascending number of each entity's component."""

    def within(self, regions: Indices) -> list[slice]:
        """The slice of entities in each of the regions."""
        first, last = np.searchsorted(self.region, regions), np.searchsorted(self.region, regions, side="right")
        return [slice(*bounds) for bounds in zip(first.tolist(), last.tolist(), strict=True)]

    def region_bounds(self, within: slice) -> tuple[int, int]:
        """The first start and the last end of some entities; without entities, bounds that any minimum and maximum
        ignores."""
        start, end = self.entities.start[within], self.entities.end[within]
        return (int(start[0]), int(end[-1])) if len(start) else (np.iinfo(np.int64).max, -1)


class _Region(NamedTuple):
    """A region in which base and candidate differ: the entities of each tag sequence."""

    gold: slice
    base: slice
    candidate: slice


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """The same words of both sides, decoded to entities."""

    words: TaggedWords
    gold: _Read
    base: _Read
    candidate: _Read
    sentence_start: Indices
    """(sentences + 1,) position of the first word of each sentence, and the end."""

    @classmethod
    def of(cls, base: TaggedWords, candidate: TaggedWords) -> "_Part":
        starts = base.sentence_starts
        read = [extract(codes, starts, "strict") for codes in (base.gold, base.predicted, candidate.predicted)]
        gold, before, after = (_Read(*pair) for pair in zip(read, components(read), strict=True))
        bounds = np.append(np.flatnonzero(starts), len(starts))
        return cls(words=base, gold=gold, base=before, candidate=after, sentence_start=bounds)

    def flips(self) -> Iterator[Flip]:
        n_words = len(self.words.gold)
        gold, base, candidate = self.gold.entities, self.base.entities, self.candidate.entities
        gone, new = identical(base, candidate, n_words) < 0, identical(candidate, base, n_words) < 0
        regions = np.union1d(self.base.region[gone], self.candidate.region[new])
        before, after = identical(gold, base, n_words) >= 0, identical(gold, candidate, n_words) >= 0
        all_within = (read.within(regions) for read in (self.gold, self.base, self.candidate))
        for region in map(_Region, *all_within):
            flipped = np.flatnonzero(before[region.gold] != after[region.gold]) + region.gold.start
            for entity in flipped.tolist():
                kind: Kind = "gained" if after[entity] else "lost"
                yield self._flip(kind, region, int(gold.start[entity]), int(gold.end[entity]), int(gold.type[entity]))
            if not len(flipped):
                yield self._changed(region)

    def _changed(self, region: _Region) -> Flip:
        reads = [(self.gold, region.gold), (self.candidate, region.candidate), (self.base, region.base)]
        bounds = [read.region_bounds(within) for read, within in reads]
        kind = next(int(read.entities.type[within][0]) for read, within in reads if within.start < within.stop)
        return self._flip("changed", region, min(start for start, _ in bounds), max(end for _, end in bounds), kind)

    def _flip(self, kind: Kind, region: _Region, start: int, end: int, type_: int) -> Flip:
        words = self.words
        number = int(np.searchsorted(self.sentence_start, start, side="right")) - 1
        first, last = self.sentence_start[number : number + 2].tolist()
        return Flip(
            kind=kind,
            document=None if words.document is None else int(words.document[start]),
            sentence=int(words.sentence[start]),
            start=start - first,
            end=end - first,
            text=self._text(start, end),
            label=words.types[type_],
            gold=self._entities(self.gold, region.gold, first),
            base=self._entities(self.base, region.base, first),
            candidate=self._entities(self.candidate, region.candidate, first),
            sentence_text=self._text(first, last),
        )

    def _entities(self, read: _Read, within: slice, first: int) -> tuple[Entity, ...]:
        found = read.entities
        columns = ((found.start[within] - first).tolist(), (found.end[within] - first).tolist(), found.type[within])
        return tuple(Entity(start, end, self.words.types[type_]) for start, end, type_ in zip(*columns, strict=True))

    def _text(self, start: int, end: int) -> str | None:
        return None if self.words.text is None else " ".join(self.words.text.slice(start, end - start).to_pylist())
