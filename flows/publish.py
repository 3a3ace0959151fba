"""Publish a stored model and its card on the Hugging Face Hub."""

from typing import Any

from prefect import flow

from nerbench.flows.clone_check import require_installed
from nerbench.flows.request import DEFAULT_REQUEST, Request, admit_references, configuration, in_form
from nerbench.flows.run_context import recorded
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.publishing.hub import Visibility

require_installed(__name__, __file__)


@in_form("model", "to", "visibility", "message")
@flow(name="publish", flow_run_name="publish {model} to {to}")
def publish(
    model: str,
    to: str,
    config: Request = DEFAULT_REQUEST,
    visibility: Visibility | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    """Publish one model on the Hugging Face Hub, in one commit; the same content makes no commit.

    The token is that of the worker's environment or login.

    Args:
        model: A reference to one stored model, e.g. minilm-l6@champion.
        to: The repository, ORG/NAME; created if it does not exist.
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
        visibility: private or public, even for an existing repository; a new one is private by default.
        message: The first line of the commit message.
    """
    config = configuration(config, ())
    admit_references("model", [model])
    with recorded(config) as recorder:
        artifact = tasks.resolve_one(model, config.store)
        recorder.artifacts.append(artifact)
        card = tasks.render_card(artifact, config, to)
        published = tasks.publish_on_hub(
            artifact, card.text, to, visibility=visibility, message=message, eval_results=card.eval_results
        )
    known = {key: value for key, value in recorder.summary().items() if key in ("run_id", "artifacts", "tables")}
    return known | published.model_dump() | {"missing": card.missing}
