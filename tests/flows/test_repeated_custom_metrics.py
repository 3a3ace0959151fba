"""The next attempt of a run uses the stored values of custom metrics, which may time the model."""

from pathlib import Path
from typing import Any

import pytest
from benched import run_of
from publishing_rows import metric

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.benchmark_steps import score_user_metrics, summarise_seeds
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks import prefect_tasks
from nerbench.tasks.config import Config, ModelConfig
from nerbench.tasks.results import rows
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted

MODEL = ModelConfig(name="tagger", base="encoder", seeds=(1, 2))
SEEDS = {one.name: str(number) * 64 for number, one in enumerate(MODEL.each_seed)}


def row_of(run: Run, name: str, seconds: float) -> Row:
    about = {"artifact_id": SEEDS[name], "model_sha256": SEEDS[name], "predictions_digest": SEEDS[name]}
    return metric(seconds, metric="seconds", mode="custom", level="custom", model=name, **run.columns, **about)


def attempt(run: Run, monkeypatch: pytest.MonkeyPatch, seconds: float) -> RunRecorder:
    """The recorder after the custom metrics of every seed and their mean."""
    recorder = RunRecorder(run=run)
    for name in ("write_user_metrics", "write_seeds"):
        monkeypatch.setattr(prefect_tasks, name, getattr(rows, name))

    def time_model(run: Run, predicted: Predicted, *_: Any) -> list[Row]:
        return [row_of(run, predicted.model, seconds)]

    monkeypatch.setattr(prefect_tasks, "score_user_metrics", time_model)
    for name, digest in SEEDS.items():
        row = row_of(run, name, seconds)
        recorder.predicted.append(
            Predicted(uri="there", **{k: v for k, v in row.items() if k in Predicted.model_fields})
        )
        artifact = ArtifactRef(name=name, artifact_id=digest, model_sha256=digest, uri="there", labels=())
        score_user_metrics(recorder, Config(), artifact, row["dataset"])
    summarise_seeds(recorder, MODEL)
    return recorder


def test_the_mean_of_seeds_is_that_of_the_stored_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of(str(tmp_path / "results"))
    recorders = [attempt(run, monkeypatch, seconds) for seconds in (1.0, 2.0)]
    assert [recorder.failures for recorder in recorders] == [{}, {}]
    assert [[row["value"] for row in recorder.metrics] for recorder in recorders] == [[1.0] * 3] * 2
    assert recorders[0].tables == recorders[1].tables
    assert read_results(run.results, "metrics")["value"].to_pylist() == [1.0] * 3
