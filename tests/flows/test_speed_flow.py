"""A sweep as a flow: an architecture and a stored model, measured in real processes."""

from typing import Any

import pytest
from sweeping import TINY

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.speed import speed
from nerbench.tasks.config import Config, SpeedConfig

pytestmark = pytest.mark.e2e
QUICK = {"batch_sizes": (2,), "iterations": 3, "minimum_s": 0.0, "processes": 1}


def quick(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"speed": SpeedConfig(**{**QUICK, **changes})})


def rows_of(config: Config, run_id: str, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_results(config.results, table, filters=[("run_id", "=", run_id)]).to_pylist()
    return rows


def test_a_sweep_writes_rows_of_speed_and_memory_and_its_circumstances(config: Config) -> None:
    """It measures in this process, which takes a second; the slow tests below measure in separate ones."""
    summary = speed(quick(config, sequence_lengths=(16,), multi_process=False), models=[TINY])
    (timed,) = rows_of(config, summary["run_id"], "speed")
    (used,) = rows_of(config, summary["run_id"], "memory")
    (run,) = rows_of(config, summary["run_id"], "runs")
    assert (timed["status"], timed["batch_size"], timed["sequence_length"], timed["agreement"]) == ("ok", 2, 16, 1)
    assert timed["n"] == len(timed["samples_s"]) == len(timed["samples_process"]) == 3
    assert timed["tokens_per_s"] == pytest.approx(16 * timed["sentences_per_s"])
    assert timed["artifact_id"] == used["artifact_id"]
    assert timed["single_process"] is used["single_process"] is True
    assert used["peak_rss_bytes"] > 10e6
    assert used["weights_bytes"] is None
    assert (run["flow"], run["outcome"]) == ("speed", "ok")
    assert None not in (run["system"], run["architecture"], run["logical_cores"], run["python_implementation"])
    assert [row["mean_s"] for row in summary["speed"]] == [timed["mean_s"]]
    assert "samples_s" not in summary["speed"][0]
    assert summary["environment"]["torch"] == run["torch"]


def test_a_sweep_without_a_single_number_fails_and_leaves_its_rows(config: Config) -> None:
    with pytest.raises(RunFailedError, match="no cell could be measured: unavailable: int8 does not train"):
        speed(quick(config, workloads=("training",), backends=("int8",)), models=[TINY])
    statuses = read_results(config.results, "speed", columns=["status"])["status"].to_pylist()
    assert "unavailable: int8 does not train" in statuses


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_processes_two_models_real_lengths_and_both_workloads(config: Config, finished: dict[str, Any]) -> None:
    swept = quick(config, workloads=("inference", "training"), sequence_lengths=(8, "real"), processes=3)
    summary = speed(swept, models=["tiny", TINY])
    timed = rows_of(config, summary["run_id"], "speed")
    assert {row["status"] for row in timed} == {"ok"}
    assert {row["model"] for row in timed} == {"tiny", "bert-L1-H32-e71cab"}
    for row in timed:
        assert set(row["samples_process"]) == {0, 1, 2}
        assert row["single_process"] is None
        assert row["ci_low_s"] < row["mean_s"] < row["ci_high_s"]
    used = rows_of(config, summary["run_id"], "memory")
    assert all(row["peak_rss_bytes"] > row["baseline_rss_bytes"] > 10e6 for row in used)
    real = [row for row in timed if row["sequence_length"] is None]
    assert {(row["model"], row["workload"], row["batch_size"]) for row in real} == {
        ("tiny", "inference", 1),
        ("tiny", "inference", 2),
        ("tiny", "training", 2),
    }
    assert all(row["words_per_s"] > row["sentences_per_s"] for row in real)
    assert {row["dataset"] for row in real} == {"own"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_timeout_and_missing_memory_are_a_status_and_the_sweep_continues(config: Config) -> None:
    long = quick(config, sequence_lengths=(8, 64), batch_sizes=(2, 20_000), timeout_s=30.0, iterations=1000)
    summary = speed(long, models=[TINY])
    by_cell = {(row["batch_size"], row["sequence_length"]): row["status"] for row in summary["speed"]}
    assert by_cell[2, 8] == by_cell[2, 64] == "ok"
    assert by_cell[20_000, 64] == "timeout"


@pytest.mark.slow
def test_a_scheduled_benchmark_can_include_a_sweep(config: Config, finished: dict[str, Any]) -> None:
    from nerbench.flows.benchmark import benchmark

    fast = config.benchmark.model_copy(update={"speed": True})
    nightly = quick(config, sequence_lengths=(8,), nightly=True).model_copy(update={"benchmark": fast})
    summary = benchmark(nightly, models=["tiny"])
    timed = rows_of(config, summary["run_id"], "speed")
    assert sorted((row["batch_size"], row["sequence_length"]) for row in timed if row["sequence_length"]) == [(2, 8)]
    assert len(timed) == 2
    assert len(summary["tables"]["speed"]) == 2
