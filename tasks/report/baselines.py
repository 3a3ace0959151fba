"""The baseline of each model in a report: that of the gate, otherwise the model in its previous run; and the flips
since."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import NamedTuple

from nerbench.artifacts.errors import NerbenchError, StoreUnreachableError, one_line
from nerbench.tasks.comparison.flips import Flip, Flips, flips
from nerbench.tasks.comparison.quality_gate import decide, measure
from nerbench.tasks.config import GateConfig, GateRule
from nerbench.tasks.report.history import Window, predecessors
from nerbench.tasks.report.model_scores import ABOUT, ModelScores
from nerbench.tasks.scoring.counts import count_both_ways
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, PredictionsFile, read_predictions, stored
from nerbench.tasks.statistics.resampling import seed_of

DATES = 31
"""Number of logical dates to search for the previous run."""
SAME = ("model", "dataset", "split", "gold", "dtype", "words_sha256", "gold_sha256")
"""Columns in which an entry and its predecessor agree."""


class Baseline(NamedTuple):
    """The scores that an entry is compared with."""

    about: Row
    """The columns of `model_scores.ABOUT`, with `run_id` and the headline `value`."""
    is_gate: bool
    """Whether the gate named it; otherwise it is the previous run."""


class Compared(NamedTuple):
    """An entry compared with its baseline."""

    baseline: Baseline
    flips: Flips
    row: Row | None
    """The row about overall strict F1, as in `gate`, if no gate compared the two and entities flipped."""
    problem: str | None
    """Why the flips are unknown."""


def find_baselines(results: str, entries: Sequence[ModelScores], judged: Iterable[Row]) -> dict[int, Baseline]:
    """The baselines by position of the entry; entries without one are left out."""
    named = {
        (row["run_id"], row["artifact_id"]): row["baseline_artifact_id"]
        for row in judged
        if row["kind"] == "rule" and row["baseline_artifact_id"]
    }
    scored = {(e.run.run_id, *(e.about[name] for name in ("artifact_id", "dataset", "gold"))): e for e in entries}
    found: dict[int, Baseline] = {}
    for at, entry in enumerate(entries):
        place = (entry.about["dataset"], entry.about["gold"])
        baseline = named.get((entry.run.run_id, entry.about["artifact_id"]))
        if baseline and (base := scored.get((entry.run.run_id, baseline, *place))):
            about = base.about | {"run_id": base.run.run_id, "value": base.number()}
            found[at] = Baseline(about, is_gate=True)
    bases = set(named.values())
    rest = [at for at, entry in enumerate(entries) if at not in found and not entry.is_mean]
    return found | _runs_before(results, entries, [at for at in rest if entries[at].about["artifact_id"] not in bases])


def compare(results: str, entries: Sequence[ModelScores], baselines: Mapping[int, Baseline]) -> dict[int, Compared]:
    """Entries compared with their baselines, by position.

    If predictions are gone or damaged, the entry has a reason instead of flips; if the disk has no room for the flips,
    all entries have this reason. If no gate compared the two, the gate's default rule judges F1
    against the data set's own annotation. Raises StoreUnreachableError.
    """
    changed = [
        at
        for at, one in baselines.items()
        if one.about["predictions_digest"] != entries[at].about["predictions_digest"]
    ]
    rows: dict[int, Row] = {}
    problems: dict[int, str] = {}

    def flips_of(at: int) -> Iterator[Flip]:
        entry, baseline = entries[at], baselines[at]
        try:
            sides = [stored(results, about) for about in (baseline.about, entry.about)]
            files = [read_predictions(results, side.uri) for side in sides]
            yield from flips(*(file.parts(score=False) for file in files))
            if entry.is_own_gold and not baseline.is_gate:
                rows[at] = _judged(sides, files)
        except StoreUnreachableError:
            raise
        except (NerbenchError, ValueError) as error:
            problems[at] = one_line(error)

    try:
        found = dict(zip(changed, Flips.together(map(flips_of, changed)), strict=True))
    except StoreUnreachableError:
        raise
    except NerbenchError as error:
        found, problems = {}, dict.fromkeys(changed, one_line(error))
    none = Flips()  # shared, because thousands of empty ones would take memory and time
    return {
        at: Compared(baseline, none, None, problems[at])
        if at in problems
        else Compared(baseline, found.get(at, none), rows.get(at), None)
        for at, baseline in baselines.items()
    }


def _judged(sides: Sequence[Predicted], files: Sequence[PredictionsFile]) -> Row:
    candidate = sides[1]
    counted = (count_both_ways(partial(file.parts, text=False)) for file in files)
    seed = seed_of(candidate.words_sha256, candidate.gold_sha256)
    (row,) = decide(GateConfig(), measure(GateConfig(), {1: GateRule()}, *counted, seed=seed))
    return row | {name: getattr(candidate, name) for name in ("model", "artifact_id", "dataset", "gold")}


def _runs_before(results: str, entries: Sequence[ModelScores], positions: Sequence[int]) -> dict[int, Baseline]:
    wanted: dict[tuple[str, ...], int] = {_same(entries[at].about): at for at in reversed(positions)}
    found: dict[int, Baseline] = {}
    if not wanted:
        return found
    until = min(entries[at].run.started_at for at in positions)
    columns = (*ABOUT, "run_id", "started_at", "value")
    scored = {
        (about["artifact_id"], about["dataset"], about["gold"]) for about in (entries[at].about for at in positions)
    }
    window = Window(max(entries[at].run.date for at in positions), DATES + 1)
    for row in _recent(predecessors(results, until, columns, window, scored)):
        at = wanted.pop(_same(row), None) if row["n_models"] is None else None
        if at is not None:
            found[at] = Baseline(row, is_gate=False)
        if not wanted:
            break
    return found


def _recent(rows: Iterator[Row]) -> Iterator[Row]:
    """The rows of the first DATES days."""
    days: set[str] = set()

    def is_recent(row: Row) -> bool:
        days.add(row["started_at"].date().isoformat())
        return len(days) <= DATES

    return takewhile(is_recent, rows)


def _same(about: Row) -> tuple[str, ...]:
    return tuple(about[name] for name in SAME)
