"""Which entities flipped between two predictions of the same words: gained, lost, or changed in type or boundary."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from nerbench.tasks.comparison.lockstep import in_step
from nerbench.tasks.scoring.entities import Entities, Indices, extract, identical
from nerbench.tasks.scoring.tagged import TaggedWords

Kind = Literal["gained", "lost", "changed"]
KINDS: tuple[Kind, ...] = ("gained", "lost", "changed")


class Entity(NamedTuple):
    """An entity of a sentence."""

    start: int
    """0-based position of its first word in the sentence."""
    end: int
    """Position after its last word."""
    type: str


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A gold entity that is right on one side alone, or a place where only wrong or spurious predictions differ."""

    kind: Kind
    document: int | None
    """0-based in the split; None where there are no boundaries."""
    sentence: int
    """0-based in the split."""
    start: int
    """First word in the sentence: of the gold entity that was gained or lost, else of the whole region."""
    end: int
    """The word after the last one."""
    text: str | None
    """Those words; None where the tables do not hold them."""
    label: str
    """The type of the gold entity; in a changed region that of its first gold entity, candidate or base entity."""
    gold: tuple[Entity, ...]
    """All gold entities of the region."""
    base: tuple[Entity, ...]
    """All that base predicted there."""
    candidate: tuple[Entity, ...]
    """All that the candidate predicted there."""
    sentence_text: str | None


def flips(base_parts: Iterable[TaggedWords], candidate_parts: Iterable[TaggedWords]) -> Iterator[Flip]:
    """The flips from base to candidate in corpus order.

    Entities are read as `strict`. A region is a connected component of overlapping entities of gold, base and
    candidate in which base and candidate differ. Each of its gold entities that only the candidate has right was
    `gained`, each that only base has right was `lost`; a region with neither has `changed`. So there are as many more
    gained than lost as the candidate has more true positives. Tags that belong to no entity can differ without a flip.

    The two sides may be cut into parts differently. Raises ValueError where words or gold are not the same.
    """
    for base, candidate in in_step(base_parts, candidate_parts):
        if not np.array_equal(base.predicted, candidate.predicted):
            yield from _Part.of(base, candidate).flips()


def to_json(found: Iterable[Flip]) -> dict[str, list[dict[str, Any]]]:
    """Flips by kind, as plain values."""
    lists: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for flip in found:
        entities = {
            side: [entity._asdict() for entity in getattr(flip, side)] for side in ("gold", "base", "candidate")
        }
        lists[flip.kind].append({name: value for name, value in vars(flip).items() if name != "kind"} | entities)
    return lists


class _Read(NamedTuple):
    """The entities of one reading of a part."""

    entities: Entities
    region: Indices
    """(entities,) number of the component each lies in, rising."""

    def within(self, regions: Indices) -> list[slice]:
        """Which entities lie in each of the regions."""
        first, last = np.searchsorted(self.region, regions), np.searchsorted(self.region, regions, side="right")
        return [slice(*bounds) for bounds in zip(first.tolist(), last.tolist(), strict=True)]

    def region_bounds(self, within: slice) -> tuple[int, int]:
        """The first and the last end of some entities; far apart where there are none."""
        start, end = self.entities.start[within], self.entities.end[within]
        return (int(start[0]), int(end[-1])) if len(start) else (np.iinfo(np.int64).max, -1)


class _Region(NamedTuple):
    """Where base and candidate differ: the entities of each reading."""

    gold: slice
    base: slice
    candidate: slice


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """The same words of both sides, read as entities."""

    words: TaggedWords
    gold: _Read
    base: _Read
    candidate: _Read
    sentence_start: Indices
    """(sentences + 1,) position of the first word of each, and the end."""

    @classmethod
    def of(cls, base: TaggedWords, candidate: TaggedWords) -> "_Part":
        starts = base.sentence_starts
        read = [extract(codes, starts, "strict") for codes in (base.gold, base.predicted, candidate.predicted)]
        gold, before, after = (_Read(*pair) for pair in zip(read, _components(read), strict=True))
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


def _components(readings: list[Entities]) -> list[Indices]:
    """For each reading, the component of overlapping entities that each of its entities lies in; they follow the words.

    Entities stay within their sentences, so components do too.
    """
    start = np.concatenate([read.start for read in readings])
    end = np.concatenate([read.end for read in readings])
    order = np.argsort(start, kind="stable")
    opens = np.ones(len(order), np.bool_)
    np.greater_equal(start[order][1:], np.maximum.accumulate(end[order])[:-1], out=opens[1:])
    region = np.empty(len(order), np.int64)
    region[order] = np.cumsum(opens) - 1
    return np.split(region, np.cumsum([len(read.start) for read in readings])[:-1])
