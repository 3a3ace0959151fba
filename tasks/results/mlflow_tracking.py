"""Logs a run to MLflow: one MLflow run per model, with parameters, metrics, and links to the result tables.

Needs the extra `mlflow`. A rerun of the same run logs nothing twice.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from typing import Any

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest
from nerbench.tasks.config import Config
from nerbench.tasks.results.sharing import shareable_value
from nerbench.tasks.results.summary import RunResults, read_run
from nerbench.tasks.runs import Run
from nerbench.tasks.scoring.metrics import Row

EXPERIMENT = "nerbench"
"""The experiment's name, unless MLFLOW_EXPERIMENT_NAME gives another."""
_A_CALL = 900
"""Metrics per request; MLflow's own limit is 1,000."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. :]")
_LONGEST = 250
"""Maximum length of a name in MLflow, in characters."""
_LONGEST_VALUE = 5000
"""Maximum length of a tag or parameter, in characters."""
_USUAL = frozenset({"all", "overall", "micro", "", None})
"""Values that are left out of a metric's name."""


def require(config: Config) -> None:
    """Raise InputError for `track: mlflow` if MLflow is not installed, before a run does anything else."""
    if config.track and find_spec("mlflow") is None:
        raise InputError("track", "MLflow is not installed", "install it: pip install -e '.[mlflow]'")


def log_run(run: Run, config: Config, artifacts: Sequence[ArtifactRef], tables: Mapping[str, Sequence[str]]) -> None:
    """Log what a run has written about each model, to `tracking_uri` or, by default, to the location in MLflow's
    settings.

    Raises InputError if MLflow is not installed or cannot use that location, and StoreUnreachableError if the tracking
    server gives no answer.
    """
    require(config)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
    from mlflow.exceptions import MlflowException, RestException
    from mlflow.tracking import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking_uri=config.tracking_uri)
        experiment = _experiment(client)
        found = read_run(run.results, run.run_id)
        for artifact in artifacts:
            _log_model(client, experiment, run, config, artifact, found, tables)
    except RestException as error:
        raise StoreUnreachableError(f"MLflow: {error}", config.tracking_uri or "") from error
    except MlflowException as error:
        text = " ".join(str(error).split())[:300]
        if "API request" in text:
            raise StoreUnreachableError(f"MLflow: {text}", config.tracking_uri or "") from error
        remedy = "give a tracking server's URL, or a database, e.g. sqlite:///mlflow.db"
        raise InputError("tracking_uri", f"MLflow reports: {text}", remedy) from error


def metrics_of(found: RunResults, artifact_id: str) -> dict[str, float]:
    """The numbers of one model by MLflow name: `conllpp/strict/f1`, `conllpp/strict/PER/recall`, …

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
    """Parts as a name that MLflow accepts. MLflow treats `/`, `.` and `..` as parts of a path; different parts give
    different names."""
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


def _experiment(client: Any) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known else client.create_experiment(name))


def _log_model(  # noqa: PLR0913, PLR0917 - what a run knows of one model
    client: Any,
    experiment: str,
    run: Run,
    config: Config,
    artifact: ArtifactRef,
    found: RunResults,
    tables: Mapping[str, Sequence[str]],
) -> None:
    from mlflow.entities import Metric, Param

    about = {"nerbench.run_id": run.run_id, "nerbench.artifact_id": artifact.artifact_id}
    about["nerbench.uri"] = shareable_value(artifact.uri)
    tags = {name: value[:_LONGEST_VALUE] for name, value in about.items()}
    # MLflow's filters cannot express a quotation mark, which a run id may contain.
    same = f"tags.`nerbench.artifact_id` = '{artifact.artifact_id}' and attributes.status = 'FINISHED'"
    if any(
        one.data.tags["nerbench.run_id"] == tags["nerbench.run_id"] for one in client.search_runs([experiment], same)
    ):
        return
    started = int(run.started_at.timestamp() * 1000)
    opened = client.create_run(experiment, start_time=started, tags=tags, run_name=f"{artifact.name} {run.date}")
    logged = opened.info.run_id
    params = [Param(name, text[:_LONGEST_VALUE]) for name, text in _parameters(config, artifact).items()]
    numbers = iter([Metric(name, value, started, 0) for name, value in metrics_of(found, artifact.artifact_id).items()])
    client.log_batch(logged, params=params[:100])
    while batch := list(islice(numbers, _A_CALL)):
        client.log_batch(logged, metrics=batch)
    links = {
        "run_id": run.run_id,
        "results": shareable_value(run.results),
        "tables": shareable_value({name: [*uris] for name, uris in tables.items()}),
    }
    client.log_dict(logged, links, "nerbench/tables.json")
    client.log_dict(logged, shareable_value(config.as_written()), "nerbench/configuration.json")
    client.set_terminated(logged)


def _parameters(config: Config, artifact: ArtifactRef) -> dict[str, str]:
    """The parameters of training and benchmark."""
    provenance = load_manifest(artifact).provenance.model_dump(mode="json")
    training = dict(_flat("training", shareable_value(provenance.get("training") or {})))
    names = ("split", "dtype", "device", "max_length", "aggregation_strategy")
    benchmark = {f"benchmark.{name}": getattr(config.benchmark, name) for name in names}
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "model_sha256": artifact.model_sha256}
    return {name: str(value) for name, value in (about | benchmark | training).items() if value is not None}


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _flat(f"{name}.{key}", one)
    else:
        yield _allowed([name]), value
