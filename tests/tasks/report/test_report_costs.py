"""Measurements from tables that may have more or fewer columns than the current schema."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.report.costs import SAMPLES, read_costs
from nerbench.tasks.results.query import SelectedRun

NIGHT = SelectedRun("night-2", "2030-01-02", datetime(2030, 1, 2, tzinfo=UTC), {})
BEFORE = SelectedRun("night-1", "2030-01-01", datetime(2030, 1, 1, tzinfo=UTC), {})


def row(run: SelectedRun = NIGHT, **changes: Any) -> dict[str, Any]:
    known = {"run_id": run.run_id, "artifact_id": "a", "model": "m", "device": "cpu", "dtype": "fp32"}
    return known | {"workload": "inference", "batch_size": 1, "sequence_length": None} | changes


def write(results: str, table: str, *rows: dict[str, Any], run: SelectedRun = NIGHT) -> None:
    write_table(results, table, list(rows), date=run.date, key=f"{run.run_id}-{len(rows)}")


def speed(p50_s: float | None, **changes: Any) -> dict[str, Any]:
    return row(**({"status": "ok", "backend": "eager", "p50_s": p50_s, "samples_s": [0.1, 0.2]} | changes))


def test_single_sentences_and_sweeps_are_distinguished(tmp_path: Any) -> None:
    results = str(tmp_path)
    write(
        results,
        "speed",
        speed(0.1, backend="compile"),
        speed(0.2),
        speed(0.3, batch_size=8, sequence_length=128),
        speed(0.4, workload="training", batch_size=8),
        speed(None, artifact_id="b", status="out of memory", samples_s=None),
    )
    found = read_costs(results, [NIGHT])
    assert {name: cost["p50_s"] for name, cost in found.by_artifact.items()} == {"a": 0.2}
    assert [one["samples"] for one in found.latencies] == [[0.1, 0.2]]
    swept = {(one["backend"], one["workload"], one["batch_size"], one["status"]) for one in found.sweep}
    assert swept == {
        ("compile", "inference", 1, "ok"),
        ("eager", "inference", 8, "ok"),
        ("eager", "training", 8, "ok"),
        ("eager", "inference", 1, "out of memory"),
    }


@pytest.mark.parametrize(
    ("memory", "peak"),
    [
        ({"baseline_rss_bytes": 100, "peak_rss_bytes": 350}, 250),
        ({"baseline_rss_bytes": 100, "peak_rss_bytes": 350, "peak_device_bytes": 7}, 7),
        ({"peak_rss_bytes": 350}, None),
    ],
)
def test_memory_is_the_increase_or_that_of_the_accelerator(
    tmp_path: Any, memory: dict[str, int], peak: int | None
) -> None:
    results = str(tmp_path)
    write(results, "speed", speed(0.2))
    write(results, "memory", row(load_s=1.5, weights_bytes=3) | memory)
    cost = read_costs(results, [NIGHT]).by_artifact["a"]
    assert (cost["peak_bytes"], cost["load_s"], cost["weights_bytes"]) == (peak, 1.5, 3)


def test_memory_is_that_of_its_backend(tmp_path: Any) -> None:
    results = str(tmp_path)
    write(results, "speed", speed(0.2), speed(0.1, backend="compile"))
    write(results, "memory", row(backend="compile", peak_device_bytes=9), row(peak_device_bytes=5))
    found = read_costs(results, [NIGHT])
    assert found.by_artifact["a"]["peak_bytes"] == 5
    assert [one["peak_bytes"] for one in found.sweep] == [9]


def test_the_newest_run_counts_and_samples_are_thinned(tmp_path: Any) -> None:
    results = str(tmp_path)
    samples = [n / 1000 for n in range(3 * SAMPLES)]
    write(results, "speed", speed(0.9, run=BEFORE) | {"run_id": "night-1"}, run=BEFORE)
    write(results, "speed", speed(0.2, samples_s=samples[::-1]))
    found = read_costs(results, [NIGHT, BEFORE])
    assert found.by_artifact["a"]["p50_s"] == 0.2
    (latencies,) = found.latencies
    assert latencies["total"] == len(samples)
    assert latencies["samples"] == samples[::3]
    assert read_costs(str(tmp_path / "nothing"), [NIGHT]).by_artifact == {}
