"""The gate: an unchanged model must predict what it did, and none may fall behind its baseline."""

from collections.abc import Mapping, Sequence

from artifacts.manifest import ArtifactRef
from flows.recording import Ledger
from flows.scoring import evaluate_models
from tasks import steps
from tasks.comparison.gate import is_improvement, promotion, refuse
from tasks.config import Config, GateConfig
from tasks.results.predicted import Predicted
from tasks.scoring.metrics import Row

Baselines = Mapping[str, ArtifactRef]
"""By the artifact_id of the model that is held to it."""


def find_baselines(ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef]) -> Baselines:
    """The baseline of every model: what its alias means now, or the one reference for all."""
    found: dict[str, ArtifactRef] = {}
    if config.gate is None:
        return found
    for artifact in artifacts:
        with ledger.guard(gate_of(artifact)):
            baseline = steps.find_baseline(config.gate, artifact, config.store)
            found |= {artifact.artifact_id: baseline} if baseline else {}
    return found


def hold_to_gate(ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef], baselines: Baselines) -> None:
    """Write what the gate says, all of it, before anything fails."""
    if config.benchmark.frozen:
        with ledger.guard("unchanged models"):
            enforce(ledger, "unchanged models", steps.check_frozen(ledger.run, config, ledger.predicted))
    if config.gate is None:
        return
    for artifact in artifacts:
        with ledger.guard(gate_of(artifact)):
            baseline = baselines.get(artifact.artifact_id)
            rows = judge(ledger, config, config.gate, artifact, baseline)
            if config.gate.promote and not any(row["failed"] for row in rows):
                rows += promote(ledger, config, config.gate, artifact, baseline)
            enforce(ledger, artifact.name, rows)


def judge(
    ledger: Ledger, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef | None
) -> list[Row]:
    """Every rule on every data set and annotation that it is about."""
    base = {(one.dataset, one.gold): one for one in ledger.predictions(baseline)} if baseline else {}
    return [
        row
        for one in ledger.predictions(artifact)
        for row in steps.judge(config, gate.rules, one, base.get((one.dataset, one.gold)))
    ]


def promote(
    ledger: Ledger, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef | None
) -> list[Row]:
    """Move the alias of the baseline if the model is better on the split that decides, or the first one."""
    decisive = [] if baseline is None else judge_elsewhere(ledger, config, gate, artifact, baseline)
    if is_promoted := baseline is None or is_improvement(decisive):
        steps.promote(artifact, config.store, gate.baseline)
    return promotion(config, gate, artifact, baseline, decisive, is_promoted=is_promoted)


def judge_elsewhere(
    ledger: Ledger, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef
) -> list[Row]:
    """The first rule on the split that decides about promotion."""
    benchmark = config.benchmark.model_copy(update={"split": gate.promote_on})
    config = config.model_copy(update={"benchmark": benchmark, "golds": ()})
    corpora = [steps.read_corpus(config, dataset) for dataset in config.datasets]
    found: dict[tuple[str, str], Predicted] = {}
    for one in evaluate_models(ledger, config, [artifact, baseline], corpora):
        corpus = one.annotations[0]
        predicted = steps.write_predictions(ledger.run, one.artifact, one.record, corpus, benchmark)
        found[one.artifact.artifact_id, corpus.dataset.name] = predicted
    return [
        row
        for dataset in config.datasets
        if (candidate := found.get((artifact.artifact_id, dataset.name)))
        for row in steps.judge(config, gate.rules[:1], candidate, found.get((baseline.artifact_id, dataset.name)))
    ]


def enforce(ledger: Ledger, name: str, rows: Sequence[Row]) -> None:
    """Keep the verdicts, then let the run fail on those that failed."""
    if rows:
        ledger.note({"gate": steps.write_gate(ledger.run, name, rows)})
        ledger.judged += rows
        refuse(rows)


def gate_of(artifact: ArtifactRef) -> str:
    """What a failure of the gate is noted under."""
    return f"gate, {artifact.name}"
