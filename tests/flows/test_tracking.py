"""Trackers get a run after its tables are written, and the failure of a tracker is a warning."""

import logging
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
    calls: list[Any] = []
    monkeypatch.setattr(prefect_tasks, "track", lambda *arguments: calls.append(arguments))
    mine, config = recorder(tmp_path), Config(track=("mlflow", "trackio"))
    track(mine, config)
    assert calls == [(name, mine.run, config, [], {"metrics": ["m"]}) for name in ("mlflow", "trackio")]
    track(mine, Config())
    track(RunRecorder(run=mine.run), config)
    assert len(calls) == 2, "without a tracker, or without a number, nothing is logged"


def test_a_failing_tracker_costs_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def fail_first(name: str, *_: Any) -> None:
        calls.append(name)
        if name == "mlflow":
            raise OSError("no answer")

    monkeypatch.setattr(prefect_tasks, "track", fail_first)
    mine = recorder(tmp_path)
    with caplog.at_level(logging.WARNING):
        track(mine, Config(track=("mlflow", "trackio")))
    assert [one.getMessage() for one in caplog.records] == [
        "track: mlflow: OSError: no answer; the results are in the tables"
    ]
    assert calls == ["mlflow", "trackio"]
    assert mine.failure() is None
