"""Steps on what is stored: what references mean, whether it is all there, and which alias points where."""

from collections.abc import Sequence

from nerbench.artifacts import presence, references
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.store import Store
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.step import step


@step(task_run_name="resolve {reference}", **STORAGE)
def resolve(reference: str, store: str) -> list[ArtifactRef]:
    """The artifacts that a reference means now."""
    return references.resolve(reference, store)


@step(task_run_name="resolve {reference}", **STORAGE)
def resolve_one(reference: str, store: str) -> ArtifactRef:
    """The one artifact that a reference means now."""
    return references.resolve_one(reference, store)


@step(task_run_name="look for the files of the models", **STORAGE)
def find_incomplete(artifacts: Sequence[ArtifactRef]) -> dict[str, str]:
    """By artifact_id, what is missing in the store of each artifact that is not all there."""
    return presence.find_incomplete(artifacts)


@step(task_run_name="promote {artifact.name}", **STORAGE)
def promote(artifact: ArtifactRef, store: str, alias: str) -> None:
    """Move the alias of the baseline to a model."""
    Store(store).set_alias(artifact.name, alias, artifact.artifact_id)
