"""The speed gate around a measurement: a slow latency is measured once more."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_measure import own_run

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.comparison.speed_gate import LATENCY, RATE, SERIES
from nerbench.tasks.config import BenchmarkConfig, SpeedGateConfig
from nerbench.tasks.measuring import latency
from nerbench.tasks.measuring.latency import Measurement, measure_and_write

NUMBERS = {"processes": 1, "batch_size": 1, "threads": 2}


def speed_row(seconds: float) -> dict[str, Any]:
    texts = {name: name for name in SERIES if name not in {*NUMBERS, "sequence_length"}}
    return texts | NUMBERS | {"artifact_id": "a", "status": "ok", "sequence_length": None, RATE: 1e11, LATENCY: seconds}


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure with the given readings of the clock; return the measurement and the number of readings."""

    def run(*seconds: float, nights: int = 6, gate: SpeedGateConfig | None = SpeedGateConfig()) -> tuple[Any, int]:  # noqa: B008
        run = own_run(tmp_path)
        for night in range(nights):
            day = f"2030-01-0{night + 1}"
            write_table(run.results, "speed", [{"run_id": day} | speed_row(0.01)], date=day, key=day)
        clock = iter(seconds)
        monkeypatch.setattr(latency, "measure", lambda *_: {"speed": [speed_row(next(clock))]})
        run = run.model_copy(update={"date": "2030-02-01"})
        artifact: Any = SimpleNamespace(artifact_id="a", kind="model")
        corpus: Any = None
        return measure_and_write(run, artifact, corpus, BenchmarkConfig(), gate), len(seconds) - len(list(clock))

    return run


def verdict(found: Measurement) -> str:
    (row,) = found.judged
    return str(row["verdict"])


def test_without_a_gate_nothing_is_compared(measured: Any) -> None:
    found, times = measured(1.0, gate=None)
    assert (found.judged, times) == ([], 1)


def test_a_latency_within_the_limit_is_measured_once(measured: Any) -> None:
    found, times = measured(0.0105, 0.02)
    assert (verdict(found), times) == ("pass", 1)


def test_a_latency_that_is_slow_once_passes(measured: Any) -> None:
    found, times = measured(0.02, 0.0102)
    assert (verdict(found), times) == ("pass", 2)
    assert found.judged[0]["candidate"] == 0.0102


def test_a_latency_that_is_slow_twice_fails(measured: Any) -> None:
    found, times = measured(0.0125, 0.012)
    assert (verdict(found), times) == ("regression", 2)
    assert found.judged[0]["failed"]


def test_a_first_run_fails_nothing(measured: Any) -> None:
    found, times = measured(0.02, nights=0)
    assert (verdict(found), times) == ("undecided", 1)
