"""MLflow gets valid names and values, and neither secrets nor paths, for any name of a run."""

import json
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nerbench.artifacts.references import resolve
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.config import Config
from nerbench.tasks.results.summary import RunResults
from nerbench.tasks.results.tracking import metrics_of, track_run
from nerbench.tasks.run_identity import Run

pytestmark = pytest.mark.attacks
HOSTILE = [
    "..",
    ".",
    "/etc/passwd",
    "a/../b",
    "a//b",
    "a/",
    "x" * 300,
    "tab\there",
    "\u202e\x1b[2J",
    "é" * 300,
    "o'x\" or 1=1",
]
KEY = {"dataset": "own", "gold": "own", "slice": "all", "mode": "strict", "average": "", "metric": "f1"}
SECRET = "planted-secret-value"


@pytest.mark.parametrize("label", HOSTILE)
def test_a_name_is_one_that_mlflow_takes(label: str) -> None:
    row = KEY | {"artifact_id": "a", "label": label, "value": 0.5, "ci_low": None, "ci_high": None}
    (name,) = metrics_of(RunResults("r", [row], [], [], []), "a")
    assert len(name) <= 250
    assert not {"", ".", ".."} & set(name.split("/"))
    assert all(letter.isalnum() or letter in "_-. /:" for letter in name)


@pytest.mark.parametrize("labels", [("a(b)", "a[b]"), ("x/y", "x_y"), ("..", ".")], ids=str)
def test_names_that_lose_characters_stay_apart(labels: tuple[str, str]) -> None:
    rows = [
        KEY | {"artifact_id": "a", "label": label, "value": 0.5, "ci_low": None, "ci_high": None} for label in labels
    ]
    assert len(metrics_of(RunResults("r", rows, [], [], []), "a")) == 2


def test_long_names_stay_apart() -> None:
    rows = [
        KEY | {"artifact_id": "a", "label": "x" * 300 + end, "value": 0.5, "ci_low": None, "ci_high": None}
        for end in "yz"
    ]
    assert len(metrics_of(RunResults("r", rows, [], [], []), "a")) == 2


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of an empty database of MLflow."""
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    folder = tmp_path_factory.mktemp("mlflow")
    url = f"sqlite:///{folder}/mlflow.db"
    with chdir(folder):  # where it makes `mlruns`
        mlflow.tracking.MlflowClient(tracking_uri=url).search_experiments()
    return url


@pytest.mark.slow
@pytest.mark.parametrize("run_id", ["o'brien's \"night\"/1", "x" * 9000, "\u202e\x1b[2J", "' or '1' = '1"])
def test_a_run_is_logged_once_whatever_it_is_called(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str, run_id: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_TOKEN", SECRET)
    results = str(tmp_path / "results")
    (artifact,) = resolve(str(tiny_model_folder), "store")
    started = datetime(2030, 1, 2, tzinfo=UTC)
    run = Run(run_id=run_id, flow="f", date="2030-01-02", started_at=started, attempt=1, results=results)
    about = {"model": artifact.name, "artifact_id": artifact.artifact_id, "model_sha256": artifact.model_sha256}
    known = {"split": "test", "aggregation": "model", "level": "entity", "dtype": "fp32", "status": "ok", "value": 0.5}
    rows = [KEY | run.columns | about | known | {"label": label} for label in HOSTILE]
    write_table(results, "metrics", rows, date=run.date, key="k")
    config = Config(track=("mlflow",), tracking_uri=database)
    for _ in range(2):
        track_run("mlflow", run, config, [artifact], {"metrics": [f"{results}/x.parquet", f"s3://bucket/{SECRET}/x"]})
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=config.tracking_uri)
    logged = client.search_runs([client.get_experiment_by_name("nerbench").experiment_id])
    (found,) = (one for one in logged if one.data.tags["nerbench.run_id"] == run_id[:5000])
    assert len(found.data.metrics) == len(HOSTILE)
    path = client.download_artifacts(found.info.run_id, "nerbench/tables.json")
    logged_text = f"{found.data.tags} {found.data.params} {json.loads(Path(path).read_text())}"
    assert SECRET not in logged_text
    assert str(tmp_path) not in logged_text.replace(path, "")
