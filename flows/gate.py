"""The gate: an unchanged model must predict the same as before, and no model may be worse than its baseline."""

from collections.abc import Mapping, Sequence

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import evaluate_models
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.comparison.quality_gate import absent_models, by_annotation, first_promotion, judge, promotion
from nerbench.tasks.config import Config, GateConfig
from nerbench.tasks.scoring.metrics import Row

Baselines = Mapping[str, ArtifactRef | None]
"""The baseline by artifact_id of the candidate; None for a model that is to be the first baseline."""


def find_baselines(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef]) -> Baselines:
    """The baseline of every model before any promotion: the target of its alias, or the one reference for all.

    A model without a resolvable baseline is left out, and its gate fails.
    """
    baselines: dict[str, ArtifactRef | None] = {}
    if config.gate is None:
        return baselines
    lookups = [tasks.find_baseline.submit(config.gate, artifact.name, config.store) for artifact in artifacts]
    for artifact, lookup in zip(artifacts, lookups, strict=True):
        with recorder.guard(f"gate, {artifact.name}"):
            baselines[artifact.artifact_id] = lookup.result()
    return baselines


def hold_to_gate(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef], baselines: Baselines) -> None:
    """Apply the gate and write all its rows before failing the run."""
    if config.benchmark.check_reproducibility:
        with recorder.guard("unchanged models"):
            recorder.enforce("unchanged models", tasks.find_changed(recorder.run, config, recorder.predicted))
    if (gate := config.gate) is None:
        return
    for name in absent_models(config, [artifact.name for artifact in artifacts]):
        with recorder.guard(f"gate, {name}"):
            raise RunFailedError("the store has no such model, which `models` names")
    scored = by_annotation([*recorder.predicted, *recorder.perturbed])
    for artifact in artifacts:
        with recorder.guard(f"gate, {artifact.name}"):
            baseline = baselines.get(artifact.artifact_id)
            base = scored[baseline.artifact_id] if baseline else {}
            is_first = baseline is None and artifact.artifact_id in baselines
            rows = judge(config, artifact, scored[artifact.artifact_id], None if is_first else base, tasks.compare)
            recorder.enforce(artifact.exact_name, rows)
            if gate.promote and (baseline or is_first):
                rows = promote(recorder, config, gate, artifact, baseline)
                recorder.enforce(f"promotion of {artifact.exact_name}", rows)


def promote(
    recorder: RunRecorder, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef | None
) -> list[Row]:
    """Move the alias of the baseline if the model is an improvement on the deciding split, or the first baseline."""
    if baseline is None:
        rows = [first_promotion(gate, artifact)]
    elif baseline.artifact_id == artifact.artifact_id:
        return []
    else:
        rows = promotion(config, gate, judge_elsewhere(recorder, config, gate, artifact, baseline))
    if any(row["promoted"] for row in rows):
        tasks.promote(artifact.name, artifact.artifact_id, config.store, gate.baseline)
    return rows


def judge_elsewhere(
    recorder: RunRecorder, config: Config, gate: GateConfig, artifact: ArtifactRef, baseline: ArtifactRef
) -> list[Row]:
    """The first rule, applied to the split that decides on promotion and each data set's own annotation."""
    benchmark = config.benchmark.model_copy(update={"split": gate.promote_on})
    gate = gate.model_copy(update={"rules": (gate.rules[0].model_copy(update={"gold": None}),)})
    config = config.model_copy(update={"benchmark": benchmark, "golds": (), "gate": gate})
    corpora = [tasks.read_corpus(config, dataset)[0] for dataset in config.datasets]
    evaluated = evaluate_models(recorder, config, [artifact, baseline], corpora)
    scored = by_annotation(tasks.write_predictions(recorder.run, one, benchmark) for one in evaluated)
    return judge(config, artifact, scored[artifact.artifact_id], scored[baseline.artifact_id], tasks.compare)
