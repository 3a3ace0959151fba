"""The costs of two sides: which measurements are compared, and that those of different ways of measuring are not."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.comparison.compare import costs
from nerbench.tasks.comparison.scored_runs import ScoredRun

DATE = "2030-01-02"
PLAIN = {"workload": "inference", "sequence_length": None, "dtype": "fp32", "device": "cpu", "run_id": "night"}


def side(artifact_id: str) -> ScoredRun:
    started_at = datetime(2030, 1, 2, tzinfo=UTC)
    about = {"run_id": "night", "date": DATE, "started_at": started_at, "model_sha256": artifact_id, "scored": ()}
    return ScoredRun(reference="m", artifact_id=artifact_id, model=artifact_id, run={}, **about)


def measure(results: Path, artifact_id: str, backend: str | None, p50_s: float, **price: Any) -> None:
    known = PLAIN | {"artifact_id": artifact_id, "model": artifact_id, "backend": backend}
    speed = [known | price | {"status": "ok", "batch_size": 1, "p50_s": p50_s, "words_per_s": 10 / p50_s}]
    if backend == "process":
        speed.append(known | {"status": "ok", "batch_size": 200, "p50_s": 1.0, "words_per_s": 30 / p50_s})
    swept = known | {"status": "ok", "batch_size": 1, "sequence_length": 128, "p50_s": 99.0}
    memory = known | {"batch_size": 1, "load_s": 0.5, "baseline_rss_bytes": 100, "peak_rss_bytes": 350}
    key = f"{artifact_id}-{backend}"
    write_table(str(results), "speed", [*speed, swept], date=DATE, key=key)
    write_table(str(results), "memory", [memory], date=DATE, key=key)


def found(results: Path, base: str, candidate: str) -> dict[str, tuple[Any, Any]]:
    rows = costs(str(results), side(base), side(candidate))
    return {row["quantity"]: (row["base"], row["candidate"]) for row in rows}


def test_two_models_are_compared_in_memory(tmp_path: Path) -> None:
    for name, p50_s in (("a", 0.1), ("b", 0.2)):
        measure(tmp_path, name, "eager", p50_s)
        measure(tmp_path, name, "process", 9.0)
    assert found(tmp_path, "a", "b") == {
        "p50_s": (0.1, 0.2),
        "words_per_s": (100.0, 50.0),
        "load_s": (0.5, 0.5),
        "peak_bytes": (250, 250),
    }


def test_a_model_and_a_tagger_are_compared_at_the_boundary_of_a_process(tmp_path: Path) -> None:
    measure(tmp_path, "model", "eager", 0.001)
    measure(tmp_path, "model", "process", 0.1)
    measure(tmp_path, "endpoint", "process", 0.2, cost_per_million_words=3.5)
    quantities = found(tmp_path, "model", "endpoint")
    assert quantities["p50_s"] == (0.1, 0.2)
    assert quantities["batch_words_per_s"] == pytest.approx((300.0, 150.0))
    assert quantities["cost_per_million_words"] == (None, 3.5)


@pytest.mark.parametrize("measured", [("eager", "process"), ("eager", None)])
def test_other_ways_of_measuring_are_not_compared(tmp_path: Path, measured: tuple[str, str | None]) -> None:
    for name, backend in zip("ab", measured, strict=True):
        if backend:
            measure(tmp_path, name, backend, 0.1)
    assert found(tmp_path, "a", "b") == {}
