"""Logs a run to MLflow, trackio or Weights & Biases: one tracked run per model, with parameters, metrics, and links to
the result tables.

Each needs the extra of its name. A rerun of the same run logs nothing twice, except to a trackio server.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import datetime
from importlib import import_module
from io import StringIO
from itertools import islice
from typing import Any, NamedTuple, Protocol

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest
from nerbench.tasks.config import Config
from nerbench.tasks.environment import is_importable
from nerbench.tasks.results.redaction import shareable_value
from nerbench.tasks.results.summary import RunResults, read_run
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row

PROJECT = "nerbench"
"""The name of the experiment (MLflow) or project, unless the tracker's environment variable gives another."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :]")
_LONGEST = 250
"""Maximum length of a name in MLflow, in characters."""
_USUAL = frozenset({"all", "overall", "micro", "", None})
"""Values that are left out of a metric's name."""
_METRICS_PER_CALL = 900
"""MLflow's own limit is 1,000."""
_PARAMS_PER_CALL = 100
"""MLflow's own limit."""
_LONGEST_VALUE = 5000
"""Maximum length of a tag or parameter in MLflow, in characters."""


class TrackedModel(NamedTuple):
    """What a tracker gets about one model of one run, without secrets and folders."""

    name: str
    run_id: str
    artifact_id: str
    uri: str
    started_at: datetime
    parameters: dict[str, str]
    metrics: dict[str, float]
    documents: dict[str, Any]
    """Files to keep with the run, by name, as plain data: the tables and the configuration."""

    @property
    def key(self) -> str:
        """A digest that only the same model in the same run has."""
        return sha256_hex(f"{self.run_id}\0{self.artifact_id}".encode(errors="surrogatepass"))[:16]


class Tracker(Protocol):
    """A place where runs are logged."""

    def log(self, model: TrackedModel) -> None:
        """Log a model of a run once: a further call for the same run and model changes nothing."""


def require(config: Config) -> None:
    """Raise InputError for a tracker whose package is not installed, before a run does anything else."""
    for name in config.track:
        if not is_importable(name):
            raise InputError("track", f"the package {name} is not installed", f"pip install 'nerbench[{name}]'")


def track_run(
    name: str, run: Run, config: Config, artifacts: Sequence[ArtifactRef], tables: Mapping[str, Sequence[str]]
) -> None:
    """Log what a run has written about each model to one of the trackers of `config.track`.

    Raises InputError if its package is not installed or its settings are wrong, StoreUnreachableError if MLflow's
    server gives no answer, and whatever the package raises.
    """
    require(config)
    tracker: Tracker = MlflowTracker(config.tracking_uri) if name == "mlflow" else WandbTracker(name)
    found = read_run(run.results, run.run_id)
    documents = {
        "tables.json": {
            "run_id": run.run_id,
            "results": shareable_value(run.results),
            "tables": shareable_value({name: [*uris] for name, uris in tables.items()}),
        },
        "configuration.json": shareable_value(config.as_written()),
    }
    for artifact in artifacts:
        model = TrackedModel(
            name=f"{artifact.name} {run.date}",
            run_id=run.run_id,
            artifact_id=artifact.artifact_id,
            uri=shareable_value(artifact.uri),
            started_at=run.started_at,
            parameters=_parameters(config, artifact),
            metrics=metrics_of(found, artifact.artifact_id),
            documents=documents,
        )
        with redirect_stdout(StringIO()):  # trackio prints a welcome and MLflow a link, and stdout is for results
            tracker.log(model)


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


def metrics_of(found: RunResults, artifact_id: str) -> dict[str, float]:
    """The numbers of one model by name: `conllpp/strict/f1`, `conllpp/strict/PER/recall`, …

    Only strict F1 of slices and only intervals of F1; the tables have the rest. Values of benchmark functions, of the
    model or of none, are named `custom/size`, `custom/forward/batch_8`, …
    """
    named: dict[str, float] = {}
    for row in found.metrics:
        if row["artifact_id"] == artifact_id and row["value"] is not None and _is_logged(row):
            name = _name(row)
            named[name] = row["value"]
            if row["metric"] == "f1":
                named |= {f"{name}_{end}": row[end] for end in ("ci_low", "ci_high") if row[end] is not None}
    for table, rows in (("speed", found.speed), ("memory", found.memory)):
        for row in rows:
            if row["artifact_id"] == artifact_id and (row.get("status") or "ok") == "ok":
                named |= dict(_costs(table, row))
    values = (row for row in found.custom if row["artifact_id"] in {artifact_id, None} and row["value"] is not None)
    named |= {_custom_name(row): row["value"] for row in values}
    return named


def _is_logged(row: Row) -> bool:
    return row["slice"] == "all" or (row["mode"], row["metric"]) == ("strict", "f1")


def _name(row: Row) -> str:
    gold = row["gold"] if row["gold"] != row["dataset"] else ""
    parameters = re.sub("[=,]", "_", row.get("parameters") or "")
    parts = (row["dataset"], gold, row["slice"], row["mode"], row["label"], row["average"], parameters)
    return _allowed([*(str(part) for part in parts if part not in _USUAL), row["metric"]])


def _custom_name(row: Row) -> str:
    gold = row["gold"] if row["gold"] != row["dataset"] else None
    parameters = [f"{name}_{value}" for name, value in json.loads(row["parameters"] or "{}").items()]
    return _allowed(["custom", *(part for part in (row["dataset"], gold) if part), row["name"], *parameters])


def _allowed(parts: Sequence[str]) -> str:
    """Parts as a name that every tracker accepts. MLflow treats `/`, `.` and `..` as parts of a path; different parts
    give different names."""
    name = "/".join("_" if set(part) <= {"."} else _NOT_IN_NAMES.sub("_", part) for part in parts)
    if name == (whole := "/".join(parts)) and len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 17]}_{sha256_hex(whole.encode(errors='surrogatepass'))[:16]}"


def _costs(table: str, row: Row) -> Iterator[tuple[str, float]]:
    where = [table, row["device"], row["dtype"]]
    where += [text for name in ("workload", "backend") if (text := row.get(name)) not in (None, "inference", "eager")]
    where += [f"{name}_{row[name]}" for name in ("batch_size", "sequence_length") if row[name] is not None]
    for column, value in row.items():
        if value is not None and (isinstance(value, float) or column.endswith(("_bytes", "parameters"))):
            yield _allowed([*where, column]), float(value)


def _parameters(config: Config, artifact: ArtifactRef) -> dict[str, str]:
    """The parameters of training and benchmark."""
    provenance = load_manifest(artifact).provenance.model_dump(mode="json")
    training = dict(_flat("training", shareable_value(provenance.get("training") or {})))
    names = ("split", "dtype", "backend", "device", "max_length", "aggregation_strategy")
    benchmark = {f"benchmark.{name}": getattr(config.benchmark, name) for name in names}
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "model_sha256": artifact.model_sha256}
    return {name: str(value) for name, value in (about | benchmark | training).items() if value is not None}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(f"{name}.{key}", one)
    else:
        yield _allowed([name]), value
