"""Fine-tune models and publish them in the store."""

import os
from typing import Any

from prefect import flow

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.signatures import TRUSTED_KEYS
from nerbench.flows.clone_check import require_installed
from nerbench.flows.request import DEFAULT_REQUEST, Request, configuration
from nerbench.flows.run_context import RunRecorder, announce, recorded
from nerbench.flows.run_names import training_name
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.progress import clock, milestones
from nerbench.tasks.publishing.hub import check_request
from nerbench.tasks.training.launch import reserved

require_installed(__name__, __file__)

NEEDS = ("datasets", "models")


@flow(name="train", flow_run_name=training_name)
def train(config: Request = DEFAULT_REQUEST) -> dict[str, Any]:
    """Fine-tune every model in the configuration on its data set, and publish each model in the store.

    Args:
        config: A YAML file on the machine that runs the flow (default: nerbench.yaml), or a complete configuration.
    """
    config = configuration(config, NEEDS)
    with recorded(config) as recorder:
        train_models(recorder, config)
    return recorder.summary()


def train_models(recorder: RunRecorder, config: Config) -> list[ArtifactRef]:
    """Train one model after another, as they share the device; a failed one does not stop the next. Save the taggers.

    Raises InputError, before anything is trained, if a model cannot be pushed to the Hub.
    """
    for model in config.trained_models:
        if model.hub_model_id:
            check_request(model.hub_model_id, f"models: {model.name}: hub_model_id")
            if os.environ.get(TRUSTED_KEYS):
                problem = f"cannot publish a new model, because {TRUSTED_KEYS} requires a signature"
                remedy = "set it to false; after the training, sign the model and run `nerbench publish`"
                raise InputError(f"models: {model.name}: push_to_hub", problem, remedy)
    published = []
    for model in config.trained_models:
        with recorder.guard(model.name):
            plan = tasks.plan_training(model, config.dataset_of(model))
            with reserved(plan):
                trained = tasks.finetune(plan)
                published.append(artifact := tasks.save(trained, config.store, recorder.run.run_id))
            announce(artifact, recorder.run.flow)
            recorder.note({"training": tasks.write_training(recorder.run, artifact, trained.provenance)})
            recorder.add_seconds("train_s", trained.train_s)
            milestones.info("%s: trained in %s, stored as %s", model.name, clock(trained.train_s), artifact.exact_name)
            if model.hub_model_id:
                card = tasks.render_card(artifact, config, model.hub_model_id)
                tasks.publish_on_hub(
                    artifact,
                    card.text,
                    model.hub_model_id,
                    visibility="keep",
                    message=None,
                    eval_results=card.eval_results,
                )
    for tagger in config.taggers:
        with recorder.guard(tagger.name):
            saved = tasks.save_tagger(tagger, config.store, recorder.run.run_id)
            published.append(saved.artifact)
            if saved.is_new:
                announce(saved.artifact, recorder.run.flow)
    recorder.artifacts = list(published)  # a copy, because benchmarking adds the baselines
    return published
