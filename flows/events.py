"""Events that flows and commands emit through Prefect, and that can start other runs."""

from nerbench.artifacts.manifest import ArtifactRef

STORED = "ner.artifact.stored"
"""An artifact was published in the store. A trigger in `deployments/prefect.yaml` starts its benchmark."""


def announce(artifact: ArtifactRef, by: str) -> None:
    """Emit the event for a published artifact, with its source: a pipeline benchmarks its artifacts itself."""
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
