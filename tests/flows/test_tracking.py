"""Trackers get a run after its tables are written, and a failing tracker loses no table."""

from pathlib import Path
from typing import Any

import pytest
from benched import run_of

from nerbench.flows.run_context import RunRecorder, track
from nerbench.tasks import prefect_tasks
from nerbench.tasks.config import Config


def recorder(tmp_path: Path, **more: Any) -> RunRecorder:
    return RunRecorder(run=run_of(str(tmp_path), "r", 1), metrics=[{"value": 1.0}], tables={"metrics": ["m"]}, **more)


def test_trackers_get_the_results_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(prefect_tasks, "track", lambda *arguments: heard.append(arguments))
    mine, config = recorder(tmp_path), Config(track="mlflow")
    track(mine, config)
    assert heard == [(mine.run, config, [], {"metrics": ["m"]})]
    track(mine, Config())
    track(RunRecorder(run=mine.run), config)
    assert len(heard) == 1, "without a tracker, or without a number, there is nothing to tell"


def test_a_failing_tracker_fails_the_run_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no answer")

    monkeypatch.setattr(prefect_tasks, "track", fail)
    mine = recorder(tmp_path)
    track(mine, Config(track="mlflow"))
    assert "mlflow: OSError: no answer" in str(mine.failure())
