"""Measure speed and memory of stored models and of architectures without weights."""

from collections.abc import Sequence
from typing import Any

from prefect import flow

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.clone_check import require_installed
from nerbench.flows.request import DEFAULT_REQUEST, References, Request, admit_references, configuration, in_form
from nerbench.flows.run_context import RunRecorder, recorded
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.environment import environment, machine
from nerbench.tasks.measuring.speed_rows import Swept
from nerbench.tasks.measuring.subjects import Subject, of_artifact

require_installed(__name__, __file__)

NEEDS = ("datasets", "benchmark")


@in_form("models")
@flow(name="speed")
def speed(config: Request = DEFAULT_REQUEST, models: References = None) -> dict[str, Any]:
    """Measure speed and memory over batch sizes, sequence lengths, backends and dtypes.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
        models: References, names of architectures or model configurations (default: `benchmark.models`).
    """
    config = configuration(config, NEEDS)
    admit_references("models", models or ())
    with recorded(config) as recorder:
        subjects = tasks.find_subjects(list(models or config.benchmark.models), config.store)
        swept = sweep_subjects(recorder, config, subjects)
    known = {key: value for key, value in recorder.summary().items() if key in ("run_id", "tables")}
    return known | {"speed": swept.speed, "memory": swept.memory, "environment": environment() | machine()}


def measure_models(
    recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[list[CorpusRef]]
) -> None:
    """Measure latency and memory of each model on the first data set, write its rows, and then apply the speed gate."""
    for artifact in {artifact.artifact_id: artifact for artifact in artifacts}.values():
        if artifact.kind == "predictions":
            continue
        with recorder.guard(artifact.name):
            measured = tasks.measure(recorder.run, artifact, corpora[0][0], config)
            recorder.note(measured.tables)
            recorder.enforce(f"speed of {artifact.exact_name}", measured.judged)


def sweep_models(recorder: RunRecorder, config: Config, artifacts: Sequence[ArtifactRef]) -> None:
    """Run the speed sweep for the benchmarked models that have weights."""
    if models := [artifact for artifact in artifacts if artifact.kind == "model"]:
        with recorder.guard("speed"):
            sweep_subjects(recorder, config, [of_artifact(artifact) for artifact in models])


def sweep_subjects(recorder: RunRecorder, config: Config, subjects: Sequence[Subject]) -> Swept:
    """Measure and write; raises RunFailedError if no cell could be measured."""
    swept = tasks.sweep(recorder.run, config, subjects)
    for table, uris in swept.tables.items():
        for uri in uris:
            recorder.note({table: uri})
    if all(row["status"] != "ok" for row in swept.speed):
        raise RunFailedError(f"no cell could be measured: {swept.speed[0]['status']}")
    return swept
