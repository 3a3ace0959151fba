"""A run's numbers in trackers: MLflow and trackio with local databases, and a stand-in for Weights & Biases."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.references import resolve
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.config import Config
from nerbench.tasks.results import tracking
from nerbench.tasks.results.summary import RunResults
from nerbench.tasks.results.tracking import TrackedModel, WandbTracker, metrics_of, track_run
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row

KEY = {"dataset": "own", "gold": "own", "slice": "all", "mode": "strict", "label": "overall", "average": "micro"}


def row(**changes: Any) -> Row:
    return KEY | {"artifact_id": "a", "metric": "f1", "value": 0.5, "ci_low": None, "ci_high": None} | changes


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "own/strict/f1"),
        ({"label": "PER", "average": "", "metric": "recall"}, "own/strict/PER/recall"),
        ({"average": "macro"}, "own/strict/macro/f1"),
        ({"slice": "unseen"}, "own/unseen/strict/f1"),
        ({"gold": "new"}, "own/new/strict/f1"),
        ({"parameters": "k=2, t=0.5"}, "own/strict/k_2_ t_0.5/f1"),
        ({"label": "a(b)*"}, "own/strict/a_b__/f1_d8fd6f11b9849529"),
    ],
)
def test_names_of_metrics(changes: dict[str, Any], name: str) -> None:
    assert metrics_of(RunResults("r", [row(**changes)], [], [], []), "a") == {name: 0.5}


def test_logged_and_unlogged_values() -> None:
    rows = [
        row(ci_low=0.4, ci_high=0.6),
        row(metric="recall", ci_low=0.1, ci_high=0.2),
        row(slice="unseen", metric="recall"),
        row(label="PER", value=None),
        row(artifact_id="b", label="LOC"),
    ]
    speed = {"artifact_id": "a", "device": "cpu", "dtype": "fp32", "batch_size": 1, "sequence_length": None}
    costs = [speed | {"p50_s": 0.25, "n": 9, "status": "ok"}, speed | {"status": "failed", "p50_s": 1.0}]
    memory = [speed | {"parameters": 5, "peak_device_bytes": None, "status": None}]
    gave = {"artifact_id": "a", "name": "size", "parameters": "{}", "dataset": None, "gold": None, "value": 7.0}
    custom = [
        gave,
        gave | {"name": "forward", "parameters": '{"batch": 8, "words": 32}'},
        gave | {"name": "errors.n", "dataset": "own", "gold": "new", "parameters": None},
        gave | {"name": "answer", "artifact_id": None},
        gave | {"name": "failed", "value": None},
        gave | {"name": "other", "artifact_id": "b"},
    ]
    assert metrics_of(RunResults("r", rows, costs, memory, custom), "a") == {
        "own/strict/f1": 0.5,
        "own/strict/f1_ci_low": 0.4,
        "own/strict/f1_ci_high": 0.6,
        "own/strict/recall": 0.5,
        "speed/cpu/fp32/batch_size_1/p50_s": 0.25,
        "memory/cpu/fp32/batch_size_1/parameters": 5.0,
        "custom/size": 7.0,
        "custom/forward/batch_8/words_32": 7.0,
        "custom/own/new/errors.n": 7.0,
        "custom/answer": 7.0,
    }


def test_without_its_package_a_tracker_is_refused_before_a_run_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "is_importable", lambda name: name != "trackio")
    tracking.require(Config())
    with pytest.raises(InputError, match=r"track: the package trackio is not installed; .*\[trackio\]"):
        tracking.require(Config(track=("mlflow", "trackio")))


class Package:
    """A stand-in for the package wandb: a run with a known id is resumed."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.finished = 0

    def finish(self) -> None:
        self.finished += 1

    def init(self, *, id: str, **options: Any) -> "LoggedRun":
        return LoggedRun(self.runs.setdefault(id, {"options": options, "logged": []}))


class LoggedRun:
    """A run of the stand-in."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record, self.step = record, len(record["logged"])

    def log(self, metrics: dict[str, float]) -> None:
        self.record["logged"].append(metrics)


def test_wandb_gets_a_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package()
    monkeypatch.setattr(tracking, "import_module", lambda name: package)
    monkeypatch.setenv("WANDB_PROJECT", "taggers")
    model = TrackedModel("m 2030-01-02", "r", "a", "uri", datetime(2030, 1, 2, tzinfo=UTC), {"p": "1"}, {"f1": 0.5}, {})
    package.runs[model.key] = {"options": {}, "logged": []}  # of an attempt that ended before it logged
    for one in (model, model, model._replace(run_id="other")):
        WandbTracker("wandb").log(one)
    first, second = package.runs.values()
    assert (first["logged"], second["logged"], package.finished) == ([{"f1": 0.5}], [{"f1": 0.5}], 3)
    assert second["options"] == {
        "project": "taggers",
        "name": f"m 2030-01-02 {model._replace(run_id='other').key}",
        "config": {"run_id": "other", "artifact_id": "a", "uri": "uri", "p": "1"},
        "resume": "allow",
    }


def test_a_run_is_finished_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package()
    monkeypatch.setattr(tracking, "import_module", lambda name: package)
    model = TrackedModel("m", "r", "a", "uri", datetime(2030, 1, 2, tzinfo=UTC), {}, {"f1": 0.5}, {})
    with monkeypatch.context() as context:
        context.setattr(LoggedRun, "log", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            WandbTracker("wandb").log(model)
    assert package.finished == 1


@pytest.fixture
def logged(tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """Logs one number of one model to the first tracker; returns the configuration."""
    monkeypatch.chdir(tmp_path)
    results = str(tmp_path / "results")
    (artifact,) = resolve(str(tiny_model_folder), "store")
    run = Run(
        run_id="r", flow="f", date="2030-01-02", started_at=datetime(2030, 1, 2, tzinfo=UTC), attempt=1, results=results
    )
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "model_sha256": artifact.model_sha256}
    scored = row(ci_low=0.4, ci_high=0.6) | run.columns | about
    scored |= {"split": "test", "aggregation": "model", "level": "entity", "dtype": "fp32", "status": "ok"}
    write_table(results, "metrics", [scored], date=run.date, key="k")

    def log(**changes: Any) -> Config:
        config = Config.model_validate(changes)
        track_run(config.track[0], run, config, [artifact], {"metrics": ["file:///x.parquet"]})
        return config

    return log


def test_a_tracker_prints_nothing_on_stdout(
    logged: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models: list[TrackedModel] = []

    def log(_: Any, model: TrackedModel) -> None:
        print("View run m at: http://mlflow")
        models.append(model)

    monkeypatch.setattr(tracking, "is_importable", lambda name: True)
    monkeypatch.setattr(tracking.MlflowTracker, "log", log)
    logged(track=["mlflow"])
    assert [model.run_id for model in models] == ["r"]
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_mlflow_gets_a_run_once(logged: Callable[..., Config], tiny_model_folder: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    for _ in range(2):
        config = logged(track="mlflow", tracking_uri="sqlite:///mlflow.db")
        client = mlflow.tracking.MlflowClient(tracking_uri=config.tracking_uri)
        experiment = client.get_experiment_by_name("nerbench")
        (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == f"{tiny_model_folder.name} 2030-01-02"
    assert found.info.status == "FINISHED"
    assert found.data.metrics == {"own/strict/f1": 0.5, "own/strict/f1_ci_low": 0.4, "own/strict/f1_ci_high": 0.6}
    assert found.data.params["benchmark.dtype"] == "fp32"
    assert found.data.tags["nerbench.run_id"] == "r"
    assert {one.path for one in client.list_artifacts(found.info.run_id, "nerbench")} == {
        "nerbench/tables.json",
        "nerbench/configuration.json",
    }


@pytest.mark.slow
def test_trackio_gets_a_run_once_and_stdout_nothing(
    logged: Callable[..., Config],
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))  # read when trackio is imported
    trackio = pytest.importorskip("trackio", reason="the extra `trackio` is not installed")
    for _ in range(2):
        logged(track=["trackio", "mlflow"])
    (run,) = trackio.Api().runs("nerbench")
    assert run.name.startswith(f"{tiny_model_folder.name} 2030-01-02 ")
    assert run.config is not None
    assert (run.config["run_id"], run.config["benchmark.dtype"]) == ("r", "fp32")
    (values,) = trackio.SQLiteStorage.get_logs("nerbench", run.name)
    assert values.items() >= {"own/strict/f1": 0.5, "own/strict/f1_ci_low": 0.4, "own/strict/f1_ci_high": 0.6}.items()
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_location_that_mlflow_cannot_use_is_one_line(logged: Callable[..., Config]) -> None:
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    with pytest.raises(InputError, match="tracking_uri: MLflow reports") as raised:
        logged(track="mlflow", tracking_uri="gopher://x")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"track": "tensorboard"}, "mlflow"),
        ({"tracking_uri": "sqlite:///x.db"}, "has no effect unless track names mlflow"),
        ({"track": "trackio", "tracking_uri": "sqlite:///x.db"}, "has no effect unless track names mlflow"),
        ({"track": "mlflow", "tracking_uri": "https://me:secret@host"}, "credential"),
    ],
)
def test_wrong_keys(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        Config.model_validate(changes)
    assert "secret@" not in raised.value.errors()[0]["msg"]  # type: ignore[attr-defined]
