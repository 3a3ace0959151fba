"""The trackers that a run can be logged to: MLflow, trackio and Weights & Biases."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from itertools import islice
from typing import Any

from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import Config
from nerbench.tasks.results.tracking import PROJECT, TrackedModel, Tracker, log_run, require
from nerbench.tasks.runs import Run

_METRICS_PER_CALL = 900
"""MLflow's own limit is 1,000."""
_PARAMS_PER_CALL = 100
"""MLflow's own limit."""
_LONGEST_VALUE = 5000
"""Maximum length of a tag or parameter in MLflow, in characters."""


def track_run(
    name: str, run: Run, config: Config, artifacts: Sequence[ArtifactRef], tables: Mapping[str, Sequence[str]]
) -> None:
    """Log a run to one of the trackers of `config.track`.

    Raises InputError if its package is not installed or its settings are wrong, StoreUnreachableError if MLflow's
    server gives no answer, and whatever the package raises.
    """
    require(config)
    tracker: Tracker = MlflowTracker(config.tracking_uri) if name == "mlflow" else WandbTracker(name)
    with redirect_stdout(StringIO()):  # trackio prints a welcome and MLflow a link, and stdout is for results
        log_run(tracker, run, config, artifacts, tables)


class MlflowTracker:
    """MLflow at a URL or, by default, at the location in its own settings."""

    def __init__(self, uri: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
        self.uri = uri

    def log(self, model: TrackedModel) -> None:
        """As in Tracker."""
        from mlflow.exceptions import MlflowException, RestException
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            _log_to_mlflow(MlflowClient(tracking_uri=self.uri), model)
        except RestException as error:
            raise StoreUnreachableError(f"MLflow: {error}", self.uri or "") from error
        except MlflowException as error:
            text = " ".join(str(error).split())[:300]
            if "API request" in text:
                raise StoreUnreachableError(f"MLflow: {text}", self.uri or "") from error
            remedy = "give a tracking server's URL, or a database, e.g. sqlite:///mlflow.db"
            raise InputError("tracking_uri", f"MLflow reports: {text}", remedy) from error


def _log_to_mlflow(client: Any, model: TrackedModel) -> None:
    from mlflow.entities import Metric, Param

    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
    known = client.get_experiment_by_name(name)
    experiment = str(known.experiment_id if known else client.create_experiment(name))
    about = {"run_id": model.run_id, "artifact_id": model.artifact_id, "uri": model.uri}
    tags = {f"nerbench.{key}": value[:_LONGEST_VALUE] for key, value in about.items()}
    # MLflow's filters cannot express a quotation mark, which a run id may contain.
    same = f"tags.`nerbench.artifact_id` = '{model.artifact_id}' and attributes.status = 'FINISHED'"
    found = client.search_runs([experiment], same)
    if any(one.data.tags["nerbench.run_id"] == tags["nerbench.run_id"] for one in found):
        return
    started = int(model.started_at.timestamp() * 1000)
    logged = client.create_run(experiment, start_time=started, tags=tags, run_name=model.name).info.run_id
    params = iter([Param(name, text[:_LONGEST_VALUE]) for name, text in model.parameters.items()])
    while some := list(islice(params, _PARAMS_PER_CALL)):
        client.log_batch(logged, params=some)
    numbers = iter([Metric(name, value, started, 0) for name, value in model.metrics.items()])
    while batch := list(islice(numbers, _METRICS_PER_CALL)):
        client.log_batch(logged, metrics=batch)
    for file, data in model.documents.items():
        client.log_dict(logged, data, f"nerbench/{file}")
    client.set_terminated(logged)


class WandbTracker:
    """Weights & Biases, or trackio, which has the same functions. Their environment variables define where they log.

    Tables and configuration are part of the run's `config`.
    """

    def __init__(self, package: str) -> None:
        self.package = package

    def log(self, model: TrackedModel) -> None:
        """As in Tracker."""
        os.environ.setdefault("WANDB_SILENT", "true")
        package: Any = import_module(self.package)
        project = os.environ.get(f"{self.package.upper()}_PROJECT") or PROJECT
        name = f"{model.name} {model.key}"
        about = {"run_id": model.run_id, "artifact_id": model.artifact_id, "uri": model.uri, **model.parameters}
        if self.package == "trackio":
            if name in package.SQLiteStorage.get_runs(project):
                return
            options: dict[str, Any] = {"embed": False, "auto_log_cpu": False, "auto_log_gpu": False}
        else:
            options = {"id": model.key, "resume": "allow"}
        run = package.init(project=project, name=name, config=about | model.documents, **options)
        try:
            if not getattr(run, "step", 0):  # a resumed run has steps, unless an earlier attempt ended before it logged
                run.log(model.metrics)
        finally:  # otherwise, the next model of this process would be logged to this run
            package.finish()  # not the run's own method: at exit, trackio finishes what this function has not
