"""Steps of the gate: what a model is held against, and what that says."""

from collections.abc import Sequence

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.comparison import frozen, gate
from nerbench.tasks.config import Config, GateConfig, GateRule
from nerbench.tasks.results import rows
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.runs import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.step import step


@step(task_run_name="compare with earlier runs", **STORAGE)
def check_frozen(run: Run, config: Config, predicted: Sequence[Predicted]) -> list[Row]:
    """A row of `gate` for each unchanged model that predicts differently than before."""
    return frozen.changed(run, config, predicted)


@step(task_run_name="find the baseline of {artifact.name}", **STORAGE)
def find_baseline(gate_config: GateConfig, artifact: ArtifactRef, store: str) -> ArtifactRef | None:
    """What a model is compared with; None where it will be the first."""
    return gate.find_baseline(gate_config, artifact, store)


@step(task_run_name="judge {candidate.model} on {candidate.dataset} against {candidate.gold}", **STORAGE)
def measure(config: Config, rules: Sequence[GateRule], candidate: Predicted, base: Predicted | None) -> list[Row]:
    """What the rules say of one model beside its baseline under one annotation, for `tasks/comparison/gate.py`."""
    return gate.measure_stored(config, rules, candidate, base)


@step(task_run_name="write the gate's verdicts on {name}", **STORAGE)
def write_gate(run: Run, name: str, judged: Sequence[Row]) -> str:
    """Write rows of `gate`."""
    return rows.write_gate(run, name, judged)
