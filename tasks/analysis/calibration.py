"""Calibration of entity confidence, and risk against coverage.

The confidence of a predicted entity, decoded as in `strict`, is the lowest score (probability of the predicted tag) of
its words. The entity is right, in words and type, only if each of these tags is right, so it is no more likely than the
least likely tag. A product would treat the words as independent and make every long entity uncertain; a mean would hide
the one doubtful word.

- The expected calibration error is the mean over the entities of |accuracy − mean confidence| of their bin, in 15 bins.
  It is undefined with fewer than ten entities per bin on average, where chance alone makes it large.
  - ece_equal_mass: the bins have equally many entities, by confidence (Nixon et al. 2019; Roelofs et al. 2022).
    These are the bins of the table.
  - ece_equal_width: the bins are (i / 15, (i + 1) / 15], as in most papers (Naeini et al. 2015; Guo et al. 2017). They
    put nearly all entities of a tagger into the last bin, and are more biased.
- brier (Brier 1950): the mean of (confidence − 1 if right else 0)².
- Risk–coverage (Geifman & El-Yaniv 2017): the share of wrong entities among the most confident ones, against the share
  of all entities that these are. aurc (Geifman et al. 2019) is the area below the curve: the mean, over the entities,
  of the share of wrong ones among those with at least the same confidence.

Entities with the same confidence are never separated: they share a bin, and are kept or left out together. The best
value of all numbers is 0. Only predicted entities count: no number covers the confidence in missed entities.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nerbench.tasks.analysis.errors import Numbers
from nerbench.tasks.data.arrow_cache import array_from_blocks, blocks_of
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.entities import Flags, Indices, extract, identical
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import ROW
from nerbench.tasks.scoring.tagged_words import TaggedWords, lowest_scores

N_BINS = 15
N_POINTS = 20
LEAST_IN_BIN = 10
"""Minimum average number of entities per bin; with fewer, there are no bins."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The relation between confidence and correctness of the predicted entities, by predicted type and `overall`."""

    rows: list[Row]
    """Rows of the table `calibration`, without its identity columns."""
    metrics: list[Row]
    """The numbers of METRICS as rows of the table `metrics`, without run and identity."""
    reason: str | None
    """Why nothing was computed; None if everything was."""


_ENTITY = np.dtype([("type", np.int32), ("confidence", np.float32), ("right", np.bool_)])
"""A predicted entity: number of its type, confidence (NaN if it is unknown), whether it is right."""
_SIGN, _POSITION = np.uint32(1 << 31), np.uint64((1 << 32) - 1)


class Ranked(NamedTuple):
    """Entities with a confidence, most confident first; all arrays are on disk and have one element per entity."""

    keys: npt.NDArray[np.uint64]
    """Ascending: a number that falls with the confidence (32 bits), the original position (31), and 1 if it is right.

    Numbers are sorted in place, without an array of positions."""
    confidence: Numbers
    right: Flags

    @classmethod
    def of(cls, entities: npt.NDArray[np.void], type_: int | None) -> "Ranked":
        """The entities of a type, or of all types, whose confidence is known."""
        keys = array_from_blocks(_keys(entities, type_), np.uint64)
        keys.sort()
        confidence = array_from_blocks(map(_confidence, blocks_of(keys)), np.float64)
        return cls(keys, confidence, array_from_blocks((block & 1 for block in blocks_of(keys)), np.bool_))

    def n_as_sure(self, keys: npt.NDArray[np.uint64]) -> Indices:
        """The number of entities with at least the confidence of each of these keys."""
        return np.searchsorted(self.keys, keys | _POSITION, side="right")

    def surest(self, n: int) -> Indices:
        """(n,) the number of the most confident 1/n, 2/n, …, 1 of the entities, including those tied with the last of
        these."""
        shares = np.arange(1, n + 1)
        return self.n_as_sure(self.keys[-(-shares * len(self.right) // n) - 1])

    def blocks(self) -> Iterator[tuple[Numbers, Flags]]:
        """Confidence and correctness, in small parts."""
        return zip(blocks_of(self.confidence), blocks_of(self.right), strict=True)


def _keys(entities: npt.NDArray[np.void], type_: int | None) -> Iterator[npt.NDArray[np.uint64]]:
    done = 0
    for block in blocks_of(entities):
        found = block[~np.isnan(block["confidence"]) & (type_ is None or block["type"] == type_)]
        bits = (found["confidence"] + np.float32(0)).view(np.uint32)  # 0 and -0 are equal
        falling = np.where(bits & _SIGN, bits, ~(bits | _SIGN)).astype(np.uint64)
        position = np.arange(done, done + len(found), dtype=np.uint64)
        yield falling << 32 | position << 1 | found["right"]
        done += len(found)


def _confidence(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    falling = (keys >> 32).astype(np.uint32)
    return np.where(falling & _SIGN, falling, ~(falling | _SIGN)).view(np.float32)


def calibration(parts: Iterable[TaggedWords]) -> Calibration:
    """Calibration of the predicted entities of a corpus, whose parts have the same types; entities without a score are
    left out.

    Each type has its metrics; undefined ones have a reason. What is known of single entities is on disk.
    """
    types: tuple[str, ...] = ()

    def judged() -> Iterator[npt.NDArray[np.void]]:
        nonlocal types
        for part in parts:
            types = part.types
            yield _judge(part)

    entities = array_from_blocks(judged(), _ENTITY)
    any_known = any(not np.isnan(block["confidence"]).all() for block in blocks_of(entities))
    reason = "the predictions have no scores" if len(entities) and not any_known else None
    rows, metrics = [], []
    for number, label in enumerate((OVERALL, *types), start=-1):
        ranked = Ranked.of(entities, None if label == OVERALL else number)
        rows += [{"label": label, **row} for row in (*_bins(ranked), *_curve(ranked))]
        metrics += [_metric(label, ranked, name, reason) for name in METRICS]
    return Calibration(rows=rows, metrics=metrics, reason=reason)


def error_in_equal_mass(ranked: Ranked) -> float | None:
    """None if there are too few entities for bins."""
    bins = _bins(ranked)
    if not bins:
        return None
    gaps = [row["n"] * abs(row["accuracy"] - row["mean_confidence"]) for row in bins if row["n"]]
    return float(sum(gaps) / len(ranked.right))


def error_in_equal_width(ranked: Ranked) -> float | None:
    """None if there are too few entities for bins."""
    if len(ranked.right) < N_BINS * LEAST_IN_BIN:
        return None
    upper_ends = np.arange(1, N_BINS) / N_BINS
    gaps = np.zeros(N_BINS)
    for confidence, right in ranked.blocks():
        np.add.at(gaps, np.searchsorted(upper_ends, confidence, side="left"), right - confidence)
    return float(np.abs(gaps).sum() / len(ranked.right))


def brier(ranked: Ranked) -> float | None:
    """None if there are no entities."""
    squares = array_from_blocks(((confidence - right) ** 2 for confidence, right in ranked.blocks()), np.float64)
    return float(np.mean(squares)) if len(squares) else None


def area_under_risk(ranked: Ranked) -> float | None:
    """None if there are no entities."""
    if not len(ranked.right):
        return None
    n_wrong = array_from_blocks(_running_sums(~right for _, right in ranked.blocks()), np.int64)
    as_sure = map(ranked.n_as_sure, blocks_of(ranked.keys))
    return float(np.mean(array_from_blocks((n_wrong[n - 1] / n for n in as_sure), np.float64)))


def _running_sums(blocks: Iterable[Flags]) -> Iterator[Indices]:
    """The cumulative sums of consecutive blocks."""
    total = 0
    for block in blocks:
        sums = total + np.cumsum(block)
        total = int(sums[-1])
        yield sums


METRICS: dict[str, Callable[[Ranked], float | None]] = {
    "ece_equal_mass": error_in_equal_mass,
    "ece_equal_width": error_in_equal_width,
    "brier": brier,
    "aurc": area_under_risk,
}


def _judge(part: TaggedWords) -> npt.NDArray[np.void]:
    starts = part.sentence_starts
    gold, predicted = (extract(codes, starts, "strict") for codes in (part.gold, part.predicted))
    found = np.empty(len(predicted.start), _ENTITY)
    found["type"] = predicted.type
    found["confidence"] = lowest_scores(part, predicted.start, predicted.end)
    found["right"] = identical(predicted, gold, len(part.gold)) >= 0
    return found


def _bins(ranked: Ranked) -> list[Row]:
    """One row per bin, also for a bin that ties leave empty; none if there are too few entities."""
    if len(ranked.right) < N_BINS * LEAST_IN_BIN:
        return []
    bounds = [0, *ranked.surest(N_BINS).tolist()]
    return [_row("bin", i, ranked, start, end) for i, (start, end) in enumerate(pairwise(bounds), start=1)]


def _curve(ranked: Ranked) -> list[Row]:
    if not len(ranked.right):
        return []
    return [_row("risk_coverage", i, ranked, 0, end) for i, end in enumerate(ranked.surest(N_POINTS).tolist(), start=1)]


def _row(kind: str, position: int, ranked: Ranked, start: int, end: int) -> Row:
    """The columns of a row for the entities from rank `start` up to `end`."""
    confidence, n = ranked.confidence[start:end], end - start
    return {
        "kind": kind,
        "position": position,
        "low": float(confidence[-1]) if n else None,
        "high": float(confidence[0]) if n else None,
        "coverage": n / len(ranked.right),
        "n": n,
        "mean_confidence": float(confidence.mean()) if n else None,
        "accuracy": float(ranked.right[start:end].mean()) if n else None,
    }


def _metric(label: str, ranked: Ranked, name: str, reason: str | None) -> Row:
    value = METRICS[name](ranked)
    n = len(ranked.right)
    if value is None and reason is None:
        reason = f"fewer than {N_BINS * LEAST_IN_BIN} entities are predicted" if n else "no entity is predicted"
    return ROW | {
        "slice": "all",
        "level": "entity",
        "mode": "strict",
        "label": label,
        "average": "micro" if label == OVERALL else "",
        "metric": name,
        "value": value,
        "tp": int(np.count_nonzero(ranked.right)),
        "n_pred": n,
        "status": "undefined" if value is None else "ok",
        "reason": reason,
    }
