"""The quality gate: rules that compare a model with its baseline, and the verdicts and promotions that follow."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef
from nerbench.artifacts.references import resolve
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison.flips import KINDS, flips
from nerbench.tasks.comparison.paired_differences import decided, deltas
from nerbench.tasks.config import Config, GateConfig, GateRule
from nerbench.tasks.results.query import NumberKey, number_key
from nerbench.tasks.scoring.counts import OVERALL, Counts
from nerbench.tasks.scoring.metrics import Quantity, Row
from nerbench.tasks.scoring.stored_predictions import Predicted, count_to_compare, read_predictions
from nerbench.tasks.statistics.resampling import seed_of
from nerbench.tasks.statistics.verdicts import exceeds

RULE_FIELDS = ("mode", "slice", "label", "metric")
NUMBERS = ("base", "candidate", "delta", "ci_low", "ci_high", "p_value", "detectable", "support")
UNDECIDED = "undecided"
MISSING = "missing"
"""The verdict if a rule's number is missing. It fails, because a gate that compares nothing must not pass."""


class AnnotationKey(NamedTuple):
    """What predictions are scored against."""

    dataset: str | None
    gold: str | None
    """The name of the annotation."""
    perturbation: str | None
    """The perturbation of the words; None for the clean split."""


def annotation_key(predicted: Predicted) -> AnnotationKey:
    """What predictions were scored against."""
    return AnnotationKey(predicted.dataset, predicted.gold, predicted.perturbation)


def by_annotation(predicted: Iterable[Predicted]) -> defaultdict[str, dict[AnnotationKey, Predicted]]:
    """Predictions by artifact id, then by what they were scored against. Other artifacts have none."""
    found: defaultdict[str, dict[AnnotationKey, Predicted]] = defaultdict(dict)
    for one in predicted:
        found[one.artifact_id][annotation_key(one)] = one
    return found


def find_baseline(gate: GateConfig, model: str, store: str) -> ArtifactRef | None:
    """The baseline of a model: the target of the alias of its name, or the one reference for all models.

    None if the alias does not exist yet and the gate promotes, so that this model becomes the first baseline. Raises
    RunFailedError if the alias does not exist and the gate does not promote, and InputError for a reference that names
    no model or several.
    """
    if gate.is_alias:
        if target := Store(store).find_target(model, gate.baseline):
            return Store(store).ref(ArtifactKey(name=model, artifact_id=target))
        if gate.promote:
            return None
        remedy = f"`nerbench artifacts alias {model} {gate.baseline}`, or gate.promote: true"
        raise RunFailedError(f"there is no {model}@{gate.baseline} to be compared with; give it one: {remedy}")
    found = resolve(gate.baseline, store)
    if len(found) > 1:
        raise InputError("gate.baseline", f"{gate.baseline} means {len(found)} models", "name one, or an alias")
    return found[0]


def measure_stored(config: Config, candidate: Predicted, base: Predicted | None) -> list[Row]:
    """The rows of the rules for this data set and annotation, as input to `decide`. Raises CorruptArtifactError."""
    gate = config.gate or GateConfig()
    about = {
        "model": candidate.model,
        "artifact_id": candidate.artifact_id,
        "baseline": gate.baseline,
        "baseline_artifact_id": base and base.artifact_id,
        **{name: getattr(candidate, name) for name in ("dataset", "split", "gold", "perturbation")},
    }
    annotation = annotation_key(candidate)
    rules = {number: rule for number, rule in enumerate(gate.rules, 1) if annotation in _annotations(config, rule)}
    if not rules:
        return []
    if base is None:
        reason = "the baseline was not scored"
        return [about | _row(gate, number, rule, {}, MISSING, reason) for number, rule in rules.items()]
    counted = [count_to_compare(one, config) for one in (base, candidate)]
    measured = measure(gate, rules, *counted, seed=seed_of(candidate.words_sha256, candidate.gold_sha256))
    if base.predictions_digest == candidate.predictions_digest:
        measured = [_identical(row) for row in measured]
    parts = (read_predictions(config.results, one.uri).parts(text=False, score=False) for one in (base, candidate))
    kinds = Counter(flip.kind for flip in flips(*parts))
    flipped = {kind: kinds[kind] for kind in KINDS}
    return [about | flipped | row for row in measured]


def judge(
    config: Config,
    artifact: ArtifactRef,
    predicted: Mapping[AnnotationKey, Predicted],
    base: Mapping[AnnotationKey, Predicted] | None,
    compare: Callable[[Config, Predicted, Predicted | None], list[Row]] = measure_stored,
) -> list[Row]:
    """Apply the rules to all data sets and annotations that they name. A comparison without scores fails.

    `base`: the predictions of the baseline; None for a model that is to be the first one, which only needs scores.
    """
    rows = missing(config, artifact, predicted)
    if base is not None:
        compared = (compare(config, one, base.get(annotation)) for annotation, one in predicted.items())
        rows = [*chain.from_iterable(compared), *rows]
    return decide(config.gate or GateConfig(), rows)


def decide(gate: GateConfig, rows: Sequence[Row]) -> list[Row]:
    """Rows of `gate`: all differences of one model, on every data set and annotation, with verdict and `failed`."""
    return [row | {"failed": _fails(gate, row)} for row in decided(rows, gate.confidence)]


def missing(config: Config, artifact: ArtifactRef, predicted: Collection[AnnotationKey]) -> list[Row]:
    """Rows for the annotations that the rules are about and that were not scored, as input to `decide`; the verdict is
    `missing`."""
    gate = config.gate or GateConfig()
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "baseline": gate.baseline}
    return [
        about
        | {"dataset": dataset, "split": config.benchmark.split, "gold": gold, "perturbation": rule.perturbation}
        | _row(gate, number, rule, {}, MISSING, "there are no scores to be judged")
        for number, rule in enumerate(gate.rules, 1)
        for dataset, gold, _ in _annotations(config, rule) or [AnnotationKey(rule.dataset, rule.gold, None)]
        if (dataset, gold, rule.perturbation) not in predicted
    ]


def absent_models(config: Config, names: Collection[str]) -> list[str]:
    """Configured models that are not in `names`, although the benchmark covers every model of the store."""
    if not any(reference.startswith("*") for reference in config.benchmark.models):
        return []
    return [name for name in config.model_names if name not in names]


def first_promotion(gate: GateConfig, artifact: ArtifactRef) -> Row:
    """The row of `gate` for a model that got the alias of the baseline because no model had it."""
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "baseline": gate.baseline}
    found = {"verdict": "pass", "failed": False, "promoted": True, "reason": "the first one with this alias"}
    return {"kind": "promotion", **about, **found}


def promotion(config: Config, gate: GateConfig, decisive: Sequence[Row]) -> list[Row]:
    """The rows of `gate` for a promotion. The baseline's alias moves if a number improved and none got worse."""
    verdicts = {row["verdict"] for row in decisive}
    is_promoted = "improvement" in verdicts and verdicts <= {"improvement", "pass"}
    reason = "decided on the reported split" if gate.promote_on == config.benchmark.split else None
    about = {"kind": "promotion", "failed": False, "promoted": is_promoted}
    return [row | about | {"reason": "; ".join(filter(None, (row["reason"], reason))) or None} for row in decisive]


def undecided(rows: Iterable[Row]) -> str:
    """The undecided rules as text; empty if there are none."""
    return "; ".join(describe(row) for row in rows if row["kind"] == "rule" and row["verdict"] == UNDECIDED)


def refuse(rows: Iterable[Row]) -> None:
    """Raise RunFailedError with the text of every row that failed."""
    if failed := [describe(row) for row in rows if row["failed"]]:
        raise RunFailedError("; ".join(failed))


def describe(row: Row) -> str:
    """A row of `gate` as text: `tagger on own: pass: overall strict F1 rose 0.10 points (95% CI …), margin 0.50`."""
    where = row["model"]
    if row.get("dataset"):
        where += f" on {row['dataset']}" + (f" ({row['gold']})" if row["gold"] != row["dataset"] else "")
        where += f" ({row['perturbation']})" if row.get("perturbation") else ""
    words = [in_words(row)] if row.get("metric") else []
    if row["kind"] == "rule" and row["verdict"] != MISSING:
        words.append(f"margin {100 * row['margin']:.2f} points")
    if row["kind"] == "promotion":
        where += f": {'became' if row['promoted'] else 'did not become'} {row['baseline']}"
    elif row["kind"] == "rule":
        where += f": {row['verdict']}"
    return f"{where}: {', '.join([*words, *([row['reason']] if row['reason'] else [])])}"


def measure(
    gate: GateConfig,
    rules: Mapping[int, GateRule],
    base: Sequence[Counts],
    candidate: Sequence[Counts],
    *,
    seed: int,
) -> list[Row]:
    """One row per rule, by its number: the difference with its interval and p-value, as input to `decide`."""
    keys = {number: number_key(**{name: getattr(rule, name) for name in RULE_FIELDS}) for number, rule in rules.items()}

    def wanted(one: Quantity) -> bool:
        return (one.level, one.mode, one.slice, one.label, one.average, one.metric.name) in keys.values()

    found = deltas(base, candidate, seed=seed, confidence=gate.confidence, wanted=wanted)
    by_key = {tuple(row[name] for name in NumberKey._fields): row for row in found}
    return [_measured(gate, number, rule, by_key.get(keys[number])) for number, rule in rules.items()]


def in_words(row: Row) -> str:
    """A delta or a row of the gate as text: `overall strict F1 fell 1.90 points (95% CI -3.10 … -0.80)`."""
    name = f"{row['label']} {row['mode']} {row['metric'].replace('f1', 'F1')}"
    if row["slice"] != "all":
        name += f" ({row['slice']})"
    if row["delta"] is None:
        return f"{name} has no difference"
    points = 100 * row["delta"]
    moved = f"{'fell' if points < 0 else 'rose'} {abs(points):.2f} points" if points else "did not move"
    if row["ci_low"] is None:
        return f"{name} {moved}"
    interval = f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    return f"{name} {moved} ({row['confidence']:.0%} CI {interval})"


def _annotations(config: Config, rule: GateRule) -> list[AnnotationKey]:
    """The annotations that a rule is about: each data set's own, or the one that the rule names."""
    known = {(one.name, one.name) for one in config.datasets} | {(one.dataset, one.name) for one in config.golds}
    named = ((one.name, rule.gold or one.name) for one in config.datasets if rule.dataset in {None, one.name})
    return [AnnotationKey(*annotation, rule.perturbation) for annotation in named if annotation in known]


def _identical(row: Row) -> Row:
    """Identical predictions pass, however few the entities are; a missing number stays missing."""
    return row if row["verdict"] == MISSING else row | {"verdict": "pass"}


def _measured(gate: GateConfig, number: int, rule: GateRule, delta: Row | None) -> Row:
    if delta is None:
        what = f"{rule.label} in the slice {rule.slice}"
        return _row(gate, number, rule, {}, MISSING, f"the two have no common number of {what}")
    if delta["delta"] is None:
        return _row(gate, number, rule, delta, MISSING, f"undefined: {delta['reason']}")
    return _row(gate, number, rule, delta, None, delta["reason"])


def _row(  # noqa: PLR0913, PLR0917 - one parameter a kind of column
    gate: GateConfig, number: int, rule: GateRule, delta: Row, found: str | None, reason: str | None
) -> Row:
    return {
        "kind": "rule",
        "level": "entity",
        **{name: getattr(rule, name) for name in RULE_FIELDS},
        **{name: delta.get(name) for name in NUMBERS},
        "resampling_unit": delta.get("unit"),
        "unit": "share",
        "average": "micro" if rule.label == OVERALL else "",
        "margin": (gate.margin if rule.margin is None else rule.margin) / 100,
        "confidence": gate.confidence,
        "verdict": found,
        "reason": reason,
        "rule": number,
    }


def _fails(gate: GateConfig, row: Row) -> bool:
    if row["verdict"] == UNDECIDED and gate.on_undecided is None:
        return exceeds(row["delta"], row["margin"])
    return row["verdict"] in {"regression", MISSING} or (row["verdict"] == UNDECIDED and gate.on_undecided == "fail")
