"""Put a stored model and its card on the Hugging Face Hub."""

from typing import Any

from prefect import flow

from flows.recording import recorded
from tasks import steps
from tasks.config import Config


@flow(name="publish", flow_run_name="publish {model} to {to}")
def publish(config: Config, model: str, to: str, public: bool = False, message: str | None = None) -> dict[str, Any]:
    """Publish one model as `to` (`org/name`), in one commit; the same content again is none.

    The token is that of the worker's environment or login. A repository that is made is private unless `public`.
    """
    with recorded(config) as ledger:
        artifact = steps.resolve_one(model, config.store)
        ledger.artifacts.append(artifact)
        card = steps.render_card(artifact, config, to)
        published = steps.publish_on_hub(artifact, card, to, public=public, message=message)
    known = {key: value for key, value in ledger.summary().items() if key in ("run_id", "artifacts", "tables")}
    return known | published.model_dump() | {"missing": card.missing}
