"""The quality gate: rules that a model is held to beside its baseline, what they found, and what follows from it."""

from collections.abc import Iterable, Sequence
from typing import Any

from artifacts.errors import RunFailedError
from artifacts.manifest import ArtifactRef
from artifacts.references import resolve
from artifacts.store import Store
from tasks.comparison.deltas import deltas
from tasks.comparison.flips import KINDS, flips
from tasks.config import Config, GateConfig, GateRule
from tasks.results.predicted import Predicted
from tasks.scoring.counts import OVERALL, Counts
from tasks.scoring.metrics import Quantity, Row
from tasks.scoring.reading import read_predictions
from tasks.scoring.stored import count_stored
from tasks.statistics.bootstrap import seed_of
from tasks.statistics.verdicts import verdict

RULE_FIELDS = ("mode", "slice", "label", "metric")
MISSING = "missing"
"""The verdict where a rule's number is not there, which fails: a gate that judges nothing must not pass."""


def find_baseline(gate: GateConfig, artifact: ArtifactRef, store: str) -> ArtifactRef | None:
    """What a model is compared with: its own name's alias, or the one reference for all.

    None where there is no such alias yet and the model is to be the first that gets it. Raises RunFailedError where
    there is none and none is to be set, and InputError for a reference that means nothing, or several.
    """
    if not gate.is_alias:
        (found,) = resolve(gate.baseline, store)
        return found
    if gate.baseline in Store(store).aliases(artifact.name):
        (found,) = resolve(f"{artifact.name}@{gate.baseline}", store)
        return found
    if gate.promote:
        return None
    remedy = f"`nerbench artifacts alias {artifact.name} {gate.baseline}`, or gate.promote: true"
    raise RunFailedError(f"there is no {artifact.name}@{gate.baseline} to be compared with; give it one: {remedy}")


def judge_stored(config: Config, rules: Sequence[GateRule], candidate: Predicted, base: Predicted | None) -> list[Row]:
    """Rows of `gate`: the rules about this data set and annotation. Raises CorruptArtifactError for a damaged file."""
    gate = config.gate or GateConfig()
    mine = [rule for rule in rules if _concerns(rule, candidate)]
    about = {
        "model": candidate.model,
        "artifact_id": candidate.artifact_id,
        "baseline": gate.baseline,
        "baseline_artifact_id": base and base.artifact_id,
        **{name: getattr(candidate, name) for name in ("dataset", "split", "gold")},
    }
    if not mine or (base is None and gate.promote):
        return []
    if base is None:
        return [about | _row(gate, rule, {}, MISSING, "the baseline was not scored") for rule in mine]
    counted = [count_stored(one, config)[0] for one in (base, candidate)]
    judged = judge(gate, mine, *counted, seed=seed_of(candidate.words_sha256, candidate.gold_sha256))
    if base.predictions_digest == candidate.predictions_digest:
        judged = [_identical(row) for row in judged]
    parts = (read_predictions(config.results, one.uri).parts() for one in (base, candidate))
    kinds = [flip.kind for flip in flips(*parts)]
    flipped = {kind: kinds.count(kind) for kind in KINDS}
    return [about | flipped | row for row in judged]


def is_improvement(rows: Sequence[Row]) -> bool:
    """Whether a number improved and none got worse."""
    verdicts = {row["verdict"] for row in rows}
    return "improvement" in verdicts and verdicts <= {"improvement", "pass"}


def promotion(  # noqa: PLR0913 - what the row says
    config: Config,
    gate: GateConfig,
    artifact: ArtifactRef,
    baseline: ArtifactRef | None,
    decisive: Sequence[Row],
    *,
    is_promoted: bool,
) -> list[Row]:
    """The rows of `gate` that say whether the alias of the baseline moved, and by what."""
    if baseline is None:
        first = {"model": artifact.name, "artifact_id": artifact.artifact_id, "baseline": gate.baseline}
        found = {"verdict": "pass", "failed": False, "promoted": True, "reason": "the first one with this alias"}
        return [{"kind": "promotion", **first, **found}]
    reason = "decided on the reported split" if gate.promote_on == config.benchmark.split else None
    same = {"kind": "promotion", "failed": False, "promoted": is_promoted}
    return [row | same | {"reason": row["reason"] or reason} for row in decisive]


def refuse(rows: Iterable[Row]) -> None:
    """Raises RunFailedError with every row that failed, in words."""
    if failed := [row for row in rows if row["failed"]]:
        raise RunFailedError("; ".join(_failure(row) for row in failed))


def judge(
    gate: GateConfig, rules: Sequence[GateRule], base: Sequence[Counts], candidate: Sequence[Counts], *, seed: int
) -> list[Row]:
    """One row a rule: the difference with its interval, the verdict, whether it fails, and why.

    Identical predictions pass.
    """

    def wanted(quantity: Quantity) -> bool:
        return quantity.level == "entity" and any(_key(rule) == _key_of(quantity) for rule in rules)

    found = deltas(base, candidate, seed=seed, confidence=gate.confidence, wanted=wanted)
    by_key = {tuple(row[name] for name in RULE_FIELDS): row for row in found if row["average"] in {"", "micro"}}
    return [_judged(gate, rule, by_key.get(_key(rule))) for rule in rules]


def in_words(row: Row) -> str:
    """`overall strict F1 fell 1.90 points (95 % CI −3.10 … −0.80)`, of a delta or a row of the gate."""
    name = f"{row['label']} {row['mode']} {row['metric'].replace('f1', 'F1')}"
    if row["slice"] != "all":
        name += f" ({row['slice']})"
    if row["delta"] is None:
        return f"{name} is missing"
    points = 100 * row["delta"]
    moved = f"{'fell' if points < 0 else 'rose'} {abs(points):.2f} points" if points else "did not move"
    if row["ci_low"] is None:
        return f"{name} {moved}"
    interval = f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    return f"{name} {moved} ({row['confidence']:.0%} CI {interval})"


def _failure(row: Row) -> str:
    where = f"{row['model']} on {row['dataset']}" + (f" ({row['gold']})" if row["gold"] != row["dataset"] else "")
    if row["kind"] == "frozen":
        return f"{where}: {row['reason']}"
    reason = f", {row['reason']}" if row["reason"] else ""
    return f"{where}: {row['verdict']}: {in_words(row)}, margin {100 * row['margin']:.2f}{reason}"


def _concerns(rule: GateRule, predicted: Predicted) -> bool:
    return rule.dataset in {None, predicted.dataset} and predicted.gold == (rule.gold or predicted.dataset)


def _identical(row: Row) -> Row:
    """Identical predictions pass, however few the entities; a number that is not there is missing all the same."""
    return row if row["verdict"] == MISSING else row | {"verdict": "pass", "failed": False}


def _key(rule: GateRule) -> tuple[Any, ...]:
    return tuple(getattr(rule, name) for name in RULE_FIELDS)


def _key_of(quantity: Quantity) -> tuple[Any, ...]:
    return quantity.mode, quantity.slice, quantity.label, quantity.metric.name


def _judged(gate: GateConfig, rule: GateRule, delta: Row | None) -> Row:
    if delta is None or delta["delta"] is None:
        what = f"{rule.label} in the slice {rule.slice}"
        return _row(gate, rule, delta or {}, MISSING, (delta and delta["reason"]) or f"there is no number of {what}")
    if delta["ci_low"] is None:
        return _row(gate, rule, delta, "inconclusive", delta["reason"])
    return _row(gate, rule, delta, verdict(delta["ci_low"], delta["ci_high"], _margin(gate, rule) / 100), None)


def _margin(gate: GateConfig, rule: GateRule) -> float:
    return gate.margin if rule.margin is None else rule.margin


def _row(gate: GateConfig, rule: GateRule, delta: Row, found: str, reason: str | None) -> Row:
    numbers = ("base", "candidate", "delta", "ci_low", "ci_high", "p_value", "detectable", "support")
    return {
        "kind": "rule",
        "level": "entity",
        **{name: getattr(rule, name) for name in RULE_FIELDS},
        **{name: delta.get(name) for name in numbers},
        "average": "micro" if rule.label == OVERALL else "",
        "margin": _margin(gate, rule) / 100,
        "confidence": gate.confidence,
        "verdict": found,
        "failed": found in {"regression", MISSING} or (gate.strict and found == "inconclusive"),
        "reason": reason,
    }
