"""The gate: an unchanged model must predict the same as before, and no model may be worse than its baseline."""

from collections.abc import Mapping, Sequence

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import evaluate_models
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.comparison.quality_gate import (
    Annotation,
    absent_models,
    decide,
    first_promotion,
    is_improvement,
    missing,
    promotion,
    refuse,
)
from nerbench.tasks.config import Config, GateConfig, GateRule
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted

Baselines = Mapping[str, ArtifactRef | None]
"""The baseline by artifact_id of the candidate; None for a model that is to be the first baseline."""


def find_baselines(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef]) -> Baselines:
    """The baseline of every model before any promotion: the target of its alias, or the one reference for all.

    A model without a resolvable baseline is left out, and its gate fails.
    """
    found: dict[str, ArtifactRef | None] = {}
    if config.gate is None:
        return found
    looking = [tasks.find_baseline.submit(config.gate, artifact, config.store) for artifact in artifacts]
    for artifact, baseline in zip(artifacts, looking, strict=True):
        with recorder.guard(gate_of(artifact)):
            found[artifact.artifact_id] = baseline.result()
    return found


def hold_to_gate(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef], baselines: Baselines) -> None:
    """Apply the gate and write all its rows before failing the run."""
    if config.benchmark.check_reproducibility:
        with recorder.guard("unchanged models"):
            enforce(recorder, "unchanged models", tasks.find_changed(recorder.run, config, recorder.predicted))
    if config.gate is None:
        return
    for name in absent_models(config, [artifact.name for artifact in artifacts]):
        with recorder.guard(f"gate, {name}"):
            raise RunFailedError("the store has no such model, which `models` names")
    for artifact in artifacts:
        with recorder.guard(gate_of(artifact)):
            enforce(recorder, exact_name(artifact), judge(recorder, config, config.gate, artifact, baselines))
            if config.gate.promote and artifact.artifact_id in baselines:
                baseline = baselines[artifact.artifact_id]
                promoted = promote(recorder, config, config.gate, artifact, baseline)
                enforce(recorder, f"promotion of {exact_name(artifact)}", promoted)


def judge(
    recorder: RunRecorder, config: Config, gate: GateConfig, artifact: ArtifactRef, baselines: Baselines
) -> list[Row]:
    """Apply every rule to all data sets and annotations that it names. A comparison without scores fails.

    A model that is to be the first baseline only needs scores.
    """
    predicted = _by_annotation(recorder, artifact)
    rows = missing(config, gate.rules, artifact, predicted)
    baseline = baselines.get(artifact.artifact_id)
    if baseline is None and artifact.artifact_id in baselines:
        return decide(gate, rows)
    base = _by_annotation(recorder, baseline) if baseline else {}
    measured = (tasks.compare(config, gate.rules, one, base.get(key)) for key, one in predicted.items())
    return decide(gate, [row for found in measured for row in found] + rows)


def _by_annotation(recorder: RunRecorder, artifact: ArtifactRef) -> dict[Annotation, Predicted]:
    """The predictions of a model for clean and for perturbed words."""
    found = [*recorder.predictions(artifact), *(one for one in recorder.perturbed if _is_of(one, artifact))]
    return {(one.dataset, one.gold, one.perturbation): one for one in found}


def _is_of(predicted: Predicted, artifact: ArtifactRef) -> bool:
    return predicted.artifact_id == artifact.artifact_id


def promote(
    recorder: RunRecorder, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef | None
) -> list[Row]:
    """Move the alias of the baseline if the model is an improvement on the deciding split, or the first baseline."""
    if baseline is None:
        tasks.promote(artifact, config.store, gate.baseline)
        return [first_promotion(gate, artifact)]
    if baseline.artifact_id == artifact.artifact_id:
        return []
    decisive = judge_elsewhere(recorder, config, gate, artifact, baseline)
    if is_promoted := is_improvement(decisive):
        tasks.promote(artifact, config.store, gate.baseline)
    return promotion(config, gate, decisive, is_promoted=is_promoted)


def judge_elsewhere(
    recorder: RunRecorder, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef
) -> list[Row]:
    """The first rule, applied to the split that decides on promotion and each data set's own annotation."""
    benchmark = config.benchmark.model_copy(update={"split": gate.promote_on})
    config = config.model_copy(update={"benchmark": benchmark, "golds": ()})
    rules: list[GateRule] = [gate.rules[0].model_copy(update={"gold": None})]
    corpora = [tasks.read_corpus(config, dataset) for dataset in config.datasets]
    found: dict[tuple[str, str], Predicted] = {}
    for one in evaluate_models(recorder, config, [artifact, baseline], corpora):
        corpus = one.annotations[0]
        predicted = tasks.write_predictions(recorder.run, one.artifact, one.record, corpus, benchmark)
        found[one.artifact.artifact_id, corpus.dataset.name] = predicted
    names = [dataset.name for dataset in config.datasets if (artifact.artifact_id, dataset.name) in found]
    measured = (
        tasks.compare(config, rules, found[artifact.artifact_id, name], found.get((baseline.artifact_id, name)))
        for name in names
    )
    absent = missing(config, rules, artifact, [(name, name, None) for name in names])
    return decide(gate, [row for rows in measured for row in rows] + absent)


def enforce(recorder: RunRecorder, name: str, rows: Sequence[Row]) -> None:
    """Record the verdicts, then fail the run if any of them failed."""
    if rows:
        recorder.note({"gate": tasks.write_gate(recorder.run, name, rows)})
        recorder.judged += rows
        refuse(rows)


def gate_of(artifact: ArtifactRef) -> str:
    """The name under which a failure of the gate is recorded."""
    return f"gate, {artifact.name}"


def exact_name(artifact: ArtifactRef) -> str:
    """A reference to exactly this version."""
    return f"{artifact.name}@sha256:{artifact.artifact_id[:12]}"
