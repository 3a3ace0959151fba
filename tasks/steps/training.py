"""Steps of a training: fine-tune, publish, write the curve."""

from collections.abc import Callable
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.store import Store
from nerbench.tasks.child import Job
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.progress import at_most_every, both, training_progress
from nerbench.tasks.results import rows
from nerbench.tasks.runs import Run
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.slots import gpu_slots
from nerbench.tasks.steps.step import step
from nerbench.tasks.training import launch
from nerbench.tasks.training.launch import TrainedModel, TrainingPlan

PROGRESS_BAR_S = 5.0
"""Seconds between two moves of a progress bar, each a request to the server."""


def _progress_bar(name: str) -> Callable[[Job], None]:
    """A listener for training events that moves a Prefect progress artifact."""
    bar = cast(UUID, create_progress_artifact(0.0, description=f"training {name}"))

    def move(event: Job) -> None:
        update_progress_artifact(bar, progress=100 * event["step"] / event["steps"])

    return at_most_every(PROGRESS_BAR_S, move)


@step(task_run_name="plan the training of {model.name}", **STORAGE)
def plan_training(model: ModelConfig, dataset: DatasetConfig) -> TrainingPlan:
    """Identify a training by the content of its data and its base."""
    return launch.plan_training(model, dataset)


@step(task_run_name="train {plan.model.name}")
def finetune(plan: TrainingPlan) -> TrainedModel:
    """Fine-tune one model into its working folder; a progress bar beside the run says how far it is."""
    model = plan.model
    with gpu_slots(model.device, f"models: {model.name}: device", gpus=model.processes):
        return launch.train(plan, both(training_progress(model.name), _progress_bar(model.name)))


@step(task_run_name="save {trained.name}", **STORAGE)
def save(run: Run, trained: TrainedModel, store: str) -> ArtifactRef:
    """Publish a trained model."""
    return launch.publish(trained, Store(store), run.run_id)


@step(task_run_name="write training curve of {trained.name}", **STORAGE)
def write_training(run: Run, artifact: ArtifactRef, trained: TrainedModel) -> str:
    """Write the `training` rows of a model."""
    return rows.write_training(run, artifact, trained.provenance)
