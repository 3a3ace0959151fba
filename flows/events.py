"""What other jobs may wait for: events that flows and commands emit through Prefect."""

from nerbench.artifacts.manifest import ArtifactRef

STORED = "ner.artifact.stored"
"""An artifact was published in the store; `deployments/prefect.yaml` starts a benchmark on it."""


def announce(artifact: ArtifactRef, by: str) -> None:
    """Say that an artifact was published, and by which flow or command: a pipeline benchmarks it itself."""
    from prefect.events import emit_event

    emit_event(
        STORED,
        resource={
            "prefect.resource.id": f"ner.artifact.{artifact.name}.{artifact.artifact_id}",
            "prefect.resource.name": artifact.name,
            "ner.published-by": by,
        },
        payload={"name": artifact.name, "artifact_id": artifact.artifact_id, "uri": artifact.uri},
    )
