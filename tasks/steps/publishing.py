"""Steps to the Hugging Face Hub."""

from artifacts.manifest import ArtifactRef
from tasks.config import Config
from tasks.publishing import card, hub
from tasks.publishing.card import Card
from tasks.publishing.hub import Publication
from tasks.steps.retrying import STORAGE
from tasks.steps.step import step


@step(task_run_name="write the card of {artifact.name}", **STORAGE)
def render_card(artifact: ArtifactRef, config: Config, repository: str) -> Card:
    """The model card of an artifact."""
    return card.render_card(artifact, config, repository)


@step(task_run_name="publish {artifact.name} to {repository}")
def publish_on_hub(
    artifact: ArtifactRef, card: Card, repository: str, *, public: bool, message: str | None
) -> Publication:
    """Publish an artifact with its card; it asks again by itself."""
    return hub.publish(artifact, card.text, repository, public=public, message=message)
