"""Fine-tune models and store each artifact."""

from typing import Any

from prefect import flow

from artifacts.manifest import ArtifactRef
from flows.events import announce
from flows.identity import training_name
from flows.recording import Ledger, recorded
from flows.request import Request, configuration
from tasks.config import Config
from tasks.steps import training
from tasks.training.launch import reserved

NEEDS = ("datasets", "models")


@flow(name="train", flow_run_name=training_name)
def train(config: Request = None) -> dict[str, Any]:
    """Fine-tune every model of the configuration on its data set, and publish each in the store.

    Args:
        config: A YAML file where the flow runs (nerbench.yaml by default), or the whole configuration.
    """
    config = configuration(config, NEEDS)
    with recorded(config) as ledger:
        train_models(ledger, config)
    return ledger.summary()


def train_models(ledger: Ledger, config: Config) -> list[ArtifactRef]:
    """Train one model after another, as they share the device; a failed one does not stop the next."""
    published = []
    for model in config.trained_models:
        with ledger.guard(model.name):
            plan = training.plan_training(model, config.dataset_of(model))
            with reserved(plan):
                trained = training.finetune(plan)
                published.append(artifact := training.save(ledger.run, trained, config.store))
            announce(artifact, ledger.run.flow)
            ledger.note({"training": training.write_training(ledger.run, artifact, trained)})
            ledger.add_seconds("train_s", trained.train_s)
    ledger.artifacts = list(published)  # which benchmarking adds the baselines to
    return published
