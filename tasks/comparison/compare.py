"""The comparison of two scored artifacts: how they differ, whether that is more than noise, and which entities
flipped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.tasks.comparison.flips import Flips, flips, to_json
from nerbench.tasks.comparison.paired_differences import decided, deltas, slices_apart
from nerbench.tasks.comparison.scored_runs import ComparedRuns, ScoredRun, common, find_on_dataset
from nerbench.tasks.comparison.suspect_gold import SuspectGold, split_by_support
from nerbench.tasks.config import Config
from nerbench.tasks.results.environment_changes import difference, same_settings
from nerbench.tasks.results.query import PROBABLE, is_headline, newest_suspects, rows_of_run, used_memory
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import count_to_compare, read_predictions
from nerbench.tasks.statistics.resampling import seed_of
from nerbench.tasks.statistics.verdicts import Verdict, worst

if TYPE_CHECKING:
    from pandas import DataFrame


IN_MEMORY, PROCESS = "eager", "process"
"""The backends of the latency sample: calls in one process, and requests to a process, which taggers have too."""
QUANTITIES = ("p50_s", "words_per_s", "batch_words_per_s", "load_s", "peak_bytes", "cost_per_million_words")
"""Columns of `speed` and `memory`, one sentence at a time. `batch_words_per_s` is for many sentences in one request;
`peak_bytes` is above the baseline."""


def costs(results: str, base: ScoredRun, candidate: ScoredRun) -> list[Row]:
    """A row for each quantity that both runs measured in the same way, or that only an endpoint has (the price).

    Columns: `quantity` (one of QUANTITIES), `base`, `candidate` (null: not measured), `backend`. Two models are
    compared in memory, anything else at the boundary of a process. Empty if no backend is common to both.
    """
    sides = [_by_backend(results, side) for side in (base, candidate)]
    backend = next((one for one in (IN_MEMORY, PROCESS) if all(one in side for side in sides)), None)
    if backend is None:
        return []
    measured = [side[backend] for side in sides]
    return [
        {"quantity": quantity, "backend": backend} | dict(zip(("base", "candidate"), values, strict=True))
        for quantity in QUANTITIES
        if any(values := [one.get(quantity) for one in measured])
    ]


def _by_backend(results: str, side: ScoredRun) -> dict[str, Row]:
    """The quantities of one side, by backend."""
    found: dict[str, Row] = {}
    speed, memory = (_plain(rows_of_run(results, table, side.run_id, side.date), side) for table in ("speed", "memory"))
    for row in speed:
        quantities = found.setdefault(row["backend"] or IN_MEMORY, {})
        if row["batch_size"] == 1:
            quantities |= {name: row.get(name) for name in ("p50_s", "words_per_s", "cost_per_million_words")}
        elif row["backend"] == PROCESS:
            quantities["batch_words_per_s"] = row["words_per_s"]
    for row in memory:
        used = {"load_s": row.get("load_s"), "peak_bytes": used_memory(row)}
        found.setdefault(row.get("backend") or IN_MEMORY, {}).update(used)
    return found


def _plain(rows: Iterable[Row], side: ScoredRun) -> list[dict[str, Any]]:
    """The rows about plain inference of the artifact on sentences of real lengths."""
    return [
        row
        for row in rows
        if row["artifact_id"] == side.artifact_id
        and row["workload"] == "inference"
        and row["sequence_length"] is None
        and row.get("backend") in {None, IN_MEMORY, PROCESS}
    ]


class Query(NamedTuple):
    """The options of a comparison."""

    dataset: str | None = None
    """By default, every data set."""
    gold: str | None = None
    """The annotation that decides; by default, the data set's own."""
    margin: float = 0.5
    """Largest drop, in points, that is not a regression."""
    confidence: float = 0.95


@dataclass(frozen=True, kw_only=True)
class FlippedOn:
    """The flips on one data set against one annotation."""

    dataset: str
    gold: str
    flips: Flips
    suspect_gold: SuspectGold | None = None
    """None without a ranking of the annotation (`nerbench suspects`)."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a comparison."""

    base: ScoredRun
    candidate: ScoredRun
    verdict: Verdict | None
    """None if the two are not comparable."""
    frozen: bool
    """Whether both are one model with the same settings, so that every flip is real."""
    reasons: tuple[str, ...]
    """Why all or parts of the two are not comparable, and what decided instead of an interval."""
    deltas: tuple[Row, ...] = field(repr=False)
    flipped: tuple[FlippedOn, ...] = field(repr=False)
    """Against the annotation that decides."""
    costs: tuple[Row, ...] = field(repr=False)
    """Speed, memory and price of both (see `costs`)."""
    environment: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def is_one_model(self) -> bool:
        """Whether both have the same weights, configuration and tokenizer."""
        return self.base.model_sha256 == self.candidate.model_sha256

    @property
    def compared(self) -> str:
        """The meaning of a difference."""
        if self.frozen:
            return "one model with the same settings in both runs: every flip is a real change, not sampling noise"
        if self.is_one_model:
            return "one model with other settings, or in runs whose settings are unknown"
        return "this compares two artifacts, not two recipes: one recipe with two seeds can differ by more"

    @property
    def primary(self) -> list[Row]:
        """The rows that decide: overall strict F1."""
        return [row for row in self.deltas if row["primary"]]

    def to_pandas(self) -> "DataFrame":
        """The differences, one row per number."""
        from pandas import DataFrame

        return DataFrame(list(self.deltas))

    def to_json(self) -> dict[str, Any]:
        """The output of `compare --json`."""
        found: dict[str, list[Row]] = {"gained": [], "lost": [], "changed": []}
        for one in self.flipped:
            for kind, listed in to_json(one.flips).items():
                found[kind] += [{"dataset": one.dataset, "gold_name": one.gold} | flip for flip in listed]
        return {
            "verdict": self.verdict,
            "comparable": self.verdict is not None,
            "reasons": self.reasons,
            "frozen": self.frozen,
            "base": _identity(self.base),
            "candidate": _identity(self.candidate),
            "compared": self.compared,
            "deltas": self.deltas,
            "flips": found,
            "suspect_gold": [
                {"dataset": one.dataset, "gold_name": one.gold, **one.suspect_gold._asdict()}
                for one in self.flipped
                if one.suspect_gold
            ],
            "costs": self.costs,
            "environment": self.environment,
        }


def compare(base: str, candidate: str, config: Config, query: Query) -> Comparison:
    """Compare the runs that two references name (see `scored_runs.find_scored_run`) by their stored predictions.

    The verdict is the worst over the data sets of the verdicts on overall strict F1 (`tasks/statistics/verdicts.py`).
    Identical predictions pass. One model with the same settings that predicts differently is a regression, whatever its
    F1. Raises InputError if one of the two runs cannot be found.
    """
    sides = [find_on_dataset(one, config, query.dataset) for one in (base, candidate)]
    pairs = common(*sides)
    deciding = _deciding(pairs, query.gold)
    reasons = [f"{pair.dataset} against {pair.gold}: {reason}" for pair in pairs for reason in pair.reasons]
    cost = tuple(costs(config.results, *sides))
    if any(pair.reasons for pair in deciding):
        return _comparison(sides, reasons, costs=cost)
    decisions = {(pair.dataset, pair.gold) for pair in deciding}
    rows: list[Row] = []
    for pair in pairs:
        if not pair.reasons:
            found = _deltas(pair, config, query)
            reasons += found.reasons
            is_deciding = (pair.dataset, pair.gold) in decisions
            rows += [row | {"primary": is_deciding and is_headline(row)} for row in found.rows]
    rows = _with_verdicts(rows, deciding, query)
    flipped = tuple(_flipped(pair, config.results) for pair in deciding)
    frozen = _is_frozen(sides, deciding)
    reasons += [_changed(pair) for pair in deciding if frozen and not pair.is_identical]
    is_changed = frozen and not all(pair.is_identical for pair in deciding)
    decision = "regression" if is_changed else worst(row["verdict"] for row in rows if row["primary"])
    outcome = {"verdict": decision, "deltas": tuple(rows), "flipped": flipped}
    return _comparison(sides, reasons, costs=cost, frozen=frozen, **outcome)


def _comparison(sides: Sequence[ScoredRun], reasons: Iterable[str], **found: Any) -> Comparison:
    base, candidate = sides
    nothing = {"verdict": None, "frozen": False, "deltas": (), "flipped": ()}
    dtypes = [", ".join(sorted({one.dtype for one in side.scored})) for side in sides]
    environment = difference(base.run, candidate.run, *dtypes)
    return Comparison(
        base=base, candidate=candidate, reasons=tuple(reasons), environment=environment, **(nothing | found)
    )


def _deciding(pairs: Sequence[ComparedRuns], gold: str | None) -> list[ComparedRuns]:
    """For each data set, the wanted annotation, by default its own. Raises InputError if neither side has it."""
    found = [pair for pair in pairs if pair.gold == (gold or pair.dataset)]
    if not found:
        there = ", ".join(sorted({pair.gold for pair in pairs}))
        raise InputError("--gold", f"neither was scored against {gold}", f"choose among {there}")
    return found


class _Deltas(NamedTuple):
    rows: list[Row]
    reasons: list[str]
    """The slices that could not be compared."""


def _deltas(pair: ComparedRuns, config: Config, query: Query) -> _Deltas:
    base, candidate = (count_to_compare(one, config) for one in pair.both)
    seed = seed_of(pair.both[0].words_sha256, pair.both[0].gold_sha256)
    rows = deltas(base, candidate, seed=seed, confidence=query.confidence)
    about = {"dataset": pair.dataset, "gold": pair.gold, "confidence": query.confidence}
    apart = ", ".join(slices_apart(base, candidate))
    problem = f"{pair.dataset} against {pair.gold}: left out, because these slices differ between the models: {apart}"
    return _Deltas([about | row for row in rows], [problem] if apart else [])


def _flipped(pair: ComparedRuns, results: str) -> FlippedOn:
    files = [read_predictions(results, one.uri) for one in pair.both]
    found = Flips(flips(*(file.parts() for file in files)))
    base, _ = pair.both
    ranked = newest_suspects(results, base.words_sha256, base.gold_sha256)
    suspects = [row for row in ranked if row["score"] >= PROBABLE]
    parts = (file.parts(text=False, score=False) for file in files)
    support = split_by_support(found, suspects, *parts) if ranked else None
    return FlippedOn(dataset=pair.dataset, gold=pair.gold, flips=found, suspect_gold=support)


def _is_frozen(sides: Sequence[ScoredRun], deciding: Iterable[ComparedRuns]) -> bool:
    base, candidate = sides
    return base.model_sha256 == candidate.model_sha256 and all(
        same_settings(base.run, candidate.run, pair.base.dtype, pair.candidate.dtype)
        and pair.base.label_map == pair.candidate.label_map
        for pair in deciding
        if pair.base and pair.candidate
    )


def _changed(pair: ComparedRuns) -> str:
    return f"one model with the same settings predicts differently on {pair.dataset}, so any flip is real"


def _with_verdicts(rows: Iterable[Row], deciding: Iterable[ComparedRuns], query: Query) -> list[Row]:
    """The rows, with a verdict for those that decide; their p-values are adjusted together."""
    same = {(pair.dataset, pair.gold) for pair in deciding if pair.is_identical}
    known = [
        row | {"margin": query.margin / 100, "verdict": "pass" if (row["dataset"], row["gold"]) in same else None}
        for row in rows
    ]
    judged = iter(decided([row for row in known if row["primary"]], query.confidence))
    return [next(judged) if row["primary"] else row | {"verdict": None} for row in known]


def _identity(side: ScoredRun) -> dict[str, Any]:
    return {name: getattr(side, name) for name in ("model", "artifact_id", "model_sha256", "run_id", "date")}
