"""Ranks the spans of an annotation by how likely they are wrong, with a proposed correction and its evidence.

Where entities of the annotation and of the models overlap, they form a region. For each region, every other reading of
it (what a model predicts, or what its strings are elsewhere) is weighed against the annotation. A score is the log-odds
that the annotation is wrong: a sum of few terms, each the logarithm of a ratio, with the weights in WEIGHTS.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.comparison.flips import Entity
from nerbench.tasks.data.tag_schemes import OUTSIDE
from nerbench.tasks.scoring.entities import Entities, Indices, components, identical
from nerbench.tasks.suspects.occurrences import PARTLY, Annotation, Case, Counted, context, entity_log_odds, remembered

Kind = Literal["missing", "spurious", "type", "boundary", "type+boundary"]
Span = tuple[int, int, str]
"""First word, word after the last one, and type of an entity."""
Reading = tuple[Span, ...]
"""All entities of a region, in order."""
Scores = npt.NDArray[np.float32]


class Prediction(NamedTuple):
    """What one model predicts."""

    entities: Entities
    score: Scores | None
    """(words,) probability of each predicted tag, NaN if unknown."""


class Evidence(NamedTuple):
    """The terms of a score: each is a log-odds, positive if it is evidence against the annotation."""

    models: float
    """Confidence of the models in the proposal against that in the annotation."""
    document: float
    """Other occurrences of the strings in the document, annotated as proposed and as here."""
    train: float
    """The same in the train split."""
    context: float
    """Entities of the document with the same words before and after: types as proposed and as here."""
    case: float
    """How often words in the same case are in entities, for words that the proposal adds to entities or removes."""


WEIGHTS: Mapping[str, float] = {"models": 0.4, "document": 0.6, "train": 0.25, "context": 1.6, "case": 0.15}
"""The weight of each term of `Evidence`."""
PRIOR = -1.65
"""The log-odds before any evidence."""
FEWER = -1.6
"""Added to PRIOR if the proposal has fewer words in entities: models miss words more often than annotators add them."""
RANKING = "2"
"""The version of features and weights; a change of either makes another table."""


class Opinion(NamedTuple):
    """The prediction of one model in a region."""

    reading: Literal["proposal", "gold", "other"]
    confidence: float | None
    """Lowest score of the region's words; None if unknown."""


class Occurrences(NamedTuple):
    """How often the strings of a suspect are annotated as here and as proposed, without the suspect itself."""

    gold: int
    proposed: int


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """A region of the annotation with its best correction."""

    score: float
    """Log-odds that the annotation is wrong here."""
    prior: float
    """The part of the score that does not depend on the evidence."""
    kind: Kind
    document: int | None
    sentence: int
    start: int
    """First word in the sentence of the entities annotated and proposed."""
    end: int
    gold: tuple[Entity, ...]
    """By words of the sentence, as `proposed`."""
    proposed: tuple[Entity, ...]
    opinions: tuple[Opinion, ...]
    """One for each model."""
    evidence: Evidence
    in_document: Occurrences
    in_split: Occurrences
    """In the other documents of the split."""
    in_train: Occurrences


def rank(gold: Annotation, predictions: Sequence[Prediction], train: Annotation | None = None) -> list[Suspect]:
    """All regions in which a model or the strings themselves contradict the annotation, the most suspect first.

    Args:
        gold: the annotation to rank; nothing else is known about its words.
        predictions: of the same words, by one or more models. Each counts by its F1 against the annotation.
        train: the annotation that the models learned from, whose strings are counted; None if it is not available.
    """
    regions = list(_regions(gold, predictions, remembered(gold, train)))
    strings = {gold.string(start, end) for one in regions for start, end, _ in one.spans}
    cases = entity_log_odds([gold] if train is None else [gold, train])
    counted = _Counts(Counted(gold, strings), Counted(train, strings), _contexts(gold), cases)
    weights = [_weight(gold, one) for one in predictions]
    weigher = _Weigher(gold, predictions, weights, counted)
    found = [max((weigher.suspect(region, other) for other in region.others), key=_order) for region in regions]
    return sorted(found, key=_order, reverse=True)


def _order(suspect: Suspect) -> tuple[float, int, int]:
    return suspect.score, -suspect.sentence, -suspect.start


class _Region(NamedTuple):
    start: int
    end: int
    gold: Reading
    read: tuple[Reading, ...]
    """The reading of each model."""
    others: tuple[Reading, ...]
    """All readings that are not the annotation's."""

    @property
    def spans(self) -> set[Span]:
        return {span for reading in (self.gold, *self.others) for span in reading}


def _regions(gold: Annotation, predictions: Sequence[Prediction], memory: Entities) -> Iterator[_Region]:
    """The components of overlapping entities in which some reading is not the annotation's."""
    readings = [gold.entities, *(one.entities for one in predictions), memory]
    regions = components(readings)
    n_words = len(gold.words)
    changed = [np.array([], np.int64)]
    for entities, region in zip(readings[1:], regions[1:], strict=True):
        changed += [
            regions[0][identical(gold.entities, entities, n_words) < 0],
            region[identical(entities, gold.entities, n_words) < 0],
        ]
    wanted = np.unique(np.concatenate(changed))
    parts = [
        _readings(entities, region, wanted, gold.types) for entities, region in zip(readings, regions, strict=True)
    ]
    for own, *read in zip(*parts, strict=True):
        spans = [span for reading in (own, *read) for span in reading]
        others = tuple(dict.fromkeys(reading for reading in read if reading != own))
        start, end = min(start for start, _, _ in spans), max(end for _, end, _ in spans)
        yield _Region(start, end, own, tuple(read[:-1]), others)


def _readings(entities: Entities, region: Indices, wanted: Indices, types: Sequence[str]) -> Iterator[Reading]:
    """The entities in each of the regions."""
    first, last = np.searchsorted(region, wanted), np.searchsorted(region, wanted, side="right")
    start, end = entities.start.tolist(), entities.end.tolist()
    names = [types[kind] for kind in entities.type.tolist()]
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        yield tuple(zip(start[low:high], end[low:high], names[low:high], strict=True))


def _weight(gold: Annotation, prediction: Prediction) -> float:
    """The weight of a model: its F1 (entities decoded as in `conlleval`) minus 0.5, and at least 0.05."""
    n_both = int(np.count_nonzero(identical(gold.entities, prediction.entities, len(gold.words)) >= 0))
    total = len(gold.entities.start) + len(prediction.entities.start)
    return max(0.05, 2 * n_both / total - 0.5) if total else 1.0


def _contexts(gold: Annotation) -> Counter[tuple[int | None, tuple[str, str], str]]:
    """The number of entities of each document by context and type."""
    found: Counter[tuple[int | None, tuple[str, str], str]] = Counter()
    for start, end, kind in zip(*(column.tolist() for column in gold.entities[:3]), strict=True):
        found[_document(gold, start), context(gold, start, end), gold.types[kind]] += 1
    return found


def _document(gold: Annotation, position: int) -> int | None:
    return None if gold.document is None else int(gold.document[position])


class _Counts(NamedTuple):
    gold: Counted
    train: Counted
    contexts: Counter[tuple[int | None, tuple[str, str], str]]
    cases: Mapping[Case, float]


_UNKNOWN = 0.8
"""Confidence of a model that gives none."""
_LEAST = 0.02
"""Added to the shares of confidence, so that no single opinion decides."""
_REST = 0.5
"""Share of a model's doubt in its own reading that goes to the annotation."""
_SMOOTHING = 0.5
"""Added to numbers of occurrences."""


class _Weigher(NamedTuple):
    """Weighs readings of regions against the annotation."""

    gold: Annotation
    predictions: Sequence[Prediction]
    weights: Sequence[float]
    counts: _Counts

    def suspect(self, region: _Region, proposed: Reading) -> Suspect:
        opinions = tuple(
            _opinion(region, reading, proposed, one) for reading, one in zip(region.read, self.predictions, strict=True)
        )
        document = _document(self.gold, region.start)
        changes = _changes(region.gold, proposed)
        scopes = self._occurrences(changes, document)
        before, after = _words(region.gold), _words(proposed)
        prior = PRIOR + FEWER * (len(after) < len(before))
        evidence = Evidence(
            models=self._models(opinions),
            document=_log_ratio(scopes["document"]),
            train=_log_ratio(scopes["train"]),
            context=self._context(changes, document),
            case=self._case(after - before, before - after),
        )
        score = prior + sum(WEIGHTS[name] * value for name, value in evidence._asdict().items())
        first = int(np.searchsorted(self.gold.sentence, self.gold.sentence[region.start]))
        changed = (*region.gold, *proposed)
        return Suspect(
            score=score,
            prior=prior,
            kind=_kind(region.gold, proposed),
            document=document,
            sentence=int(self.gold.sentence[region.start]),
            start=min(start for start, _, _ in changed) - first,
            end=max(end for _, end, _ in changed) - first,
            gold=_entities(region.gold, first),
            proposed=_entities(proposed, first),
            opinions=opinions,
            evidence=evidence,
            in_document=_total(scopes["document"]),
            in_split=_total(scopes["split"]),
            in_train=_total(scopes["train"]),
        )

    def _models(self, opinions: Sequence[Opinion]) -> float:
        total, proposal, gold = sum(self.weights), 0.0, 0.0
        for opinion, weight in zip(opinions, self.weights, strict=True):
            confidence = _UNKNOWN if opinion.confidence is None else opinion.confidence
            if opinion.reading == "proposal":
                proposal += weight * confidence
            gold += weight * (confidence if opinion.reading == "gold" else _REST * (1 - confidence))
        return log(proposal / total + _LEAST) - log(gold / total + _LEAST)

    def _occurrences(self, changes: Sequence["_Change"], document: int | None) -> dict[str, list[Occurrences]]:
        found: dict[str, list[Occurrences]] = defaultdict(list)
        for span, before, after in changes:
            string = self.gold.string(*span)
            here, everywhere = (
                self.counts.gold.labels_in(string, document),
                self.counts.gold.labels(string),
            )
            trained = self.counts.train.labels(string)
            inside = here if document is not None else Counter({before: 1})
            found["document"].append(Occurrences(max(0, here[before] - 1), here[after]))
            found["split"].append(Occurrences(everywhere[before] - inside[before], everywhere[after] - inside[after]))
            found["train"].append(Occurrences(trained[before], trained[after]))
        return found

    def _context(self, changes: Sequence["_Change"], document: int | None) -> float:
        """The term of a change of type; other changes have none."""
        if len(changes) != 1 or {changes[0].before, changes[0].after} & {OUTSIDE, PARTLY}:
            return 0.0
        (change,) = changes
        where = context(self.gold, *change.span)
        n = self.counts.contexts
        return _log_ratio([Occurrences(n[document, where, change.before] - 1, n[document, where, change.after])])

    def _case(self, added: Collection[int], removed: Collection[int]) -> float:
        """The mean over words that enter or leave entities."""
        odds = [self.counts.cases[self.gold.case[at]] for at in added]
        odds += [-self.counts.cases[self.gold.case[at]] for at in removed]
        return sum(odds) / len(odds) if odds else 0.0


class _Change(NamedTuple):
    """Words that a proposal labels otherwise."""

    span: tuple[int, int]
    before: str
    after: str


def _changes(gold: Reading, proposed: Reading) -> list[_Change]:
    """The spans of entities that only one of the two readings has, with both labels."""
    spans = dict.fromkeys((start, end) for start, end, kind in (*gold, *proposed))
    labels = [(span, _label(gold, span), _label(proposed, span)) for span in spans]
    return [_Change(span, before, after) for span, before, after in labels if before != after]


def _label(reading: Reading, span: tuple[int, int]) -> str:
    for start, end, kind in reading:
        if (start, end) == span:
            return kind
        if start < span[1] and span[0] < end:
            return PARTLY
    return OUTSIDE


def _words(reading: Reading) -> set[int]:
    """The positions of the words in entities."""
    return {position for start, end, _ in reading for position in range(start, end)}


def _kind(gold: Reading, proposed: Reading) -> Kind:
    if not gold or not proposed:
        return "spurious" if gold else "missing"
    if [span[:2] for span in gold] == [span[:2] for span in proposed]:
        return "type"
    return "boundary" if {span[2] for span in gold} == {span[2] for span in proposed} else "type+boundary"


def _opinion(region: _Region, reading: Reading, proposed: Reading, prediction: Prediction) -> Opinion:
    confidence = None
    if prediction.score is not None:
        lowest = float(np.fmin.reduce(prediction.score[region.start : region.end]))
        confidence = None if np.isnan(lowest) else lowest
    if reading == proposed:
        return Opinion("proposal", confidence)
    return Opinion("gold" if reading == region.gold else "other", confidence)


def _entities(reading: Reading, first: int) -> tuple[Entity, ...]:
    return tuple(Entity(start - first, end - first, kind) for start, end, kind in reading)


def _log_ratio(found: Sequence[Occurrences]) -> float:
    """The mean over strings of the log-ratio of annotations as proposed and as here."""
    ratios = [log(one.proposed + _SMOOTHING) - log(one.gold + _SMOOTHING) for one in found]
    return sum(ratios) / len(ratios)


def _total(found: Sequence[Occurrences]) -> Occurrences:
    return Occurrences(sum(one.gold for one in found), sum(one.proposed for one in found))
