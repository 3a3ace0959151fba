"""Steps to the Hugging Face Hub."""

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import Config
from nerbench.tasks.publishing import card, hub
from nerbench.tasks.publishing.card import Card
from nerbench.tasks.publishing.hub import Publication
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.step import step


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
