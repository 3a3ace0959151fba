"""Histories: thinned without losing extremes, with failures, bases and environments."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.report import history as module
from nerbench.tasks.report.history import HEIGHT, Point, plain_history, read_history, thin, trends


def point(n: int, value: float, *, failed: bool = False) -> Point:
    started = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=n)
    return Point(started, f"run-{n}", value, None, None, None, None, failed, None)


def test_thinning_keeps_extremes_failures_and_the_last() -> None:
    points = [point(n, 0.9 + 0.0001 * (n % 7), failed=n == 333) for n in range(1000)]
    points[500] = point(500, 0.2)
    points[700] = point(700, 0.99)
    kept = thin(points, 60)
    assert len(kept) <= 64
    assert {500, 700, 333, 999} <= {int(one.run_id[4:]) for one in kept}
    assert kept == sorted(kept, key=lambda one: one.started_at)
    assert thin(points, 1000) == points


def test_every_part_keeps_its_least_and_greatest() -> None:
    points = [point(n, (n * 7919 % 1000) / 1000) for n in range(400)]
    kept = {one.run_id for one in thin(points, 40)}
    for start in range(0, 400, 20):
        part = points[start : start + 20]
        assert {min(part, key=lambda one: one.value).run_id, max(part, key=lambda one: one.value).run_id} <= kept


def test_a_series_is_the_model_s_own_scores_with_the_gate_s_band(nights: str) -> None:
    found = read_history(nights, "2030-01-02")
    assert found.dates == 2
    by_model = {(one.about["model"], one.about["gold"]): one for one in found.series}
    assert set(by_model) == {(model, gold) for model in ("good", "<b>worse</b>") for gold in ("own", "second")}
    worse = by_model["<b>worse</b>", "own"]  # its base was scored in the second run too, under the same name
    assert [one.run_id for one in worse.points] == ["night-1", "night-2"]
    first, second = worse.points
    assert (first.base, first.failed) == (None, False)
    assert (second.base, second.margin, second.failed) == (pytest.approx(first.value), 0.005, True)
    assert second.value < first.value
    assert [round(1e3 * one.p50_s or 0, 6) for one in worse.points if one.p50_s] == [1.0, 1.0]
    assert not by_model["good", "own"].points[-1].failed
    (change,) = found.changes
    assert (change.run_id, change.columns) == ("night-2", {"torch": {"base": "2.12.0", "candidate": "2.13.0"}})
    assert read_history(nights, "2030-01-01").dates == 1


def headlines(results: str, values: list[float | None], **columns: Any) -> None:
    """Overall strict F1 of the runs 0, 1, … of one day, a second apart."""
    start = datetime(2030, 1, 1, tzinfo=UTC)
    row = {"attempt": 1, "artifact_id": "a", "model_sha256": "m", "model": "m", "dataset": "d", "split": "test"}
    row |= {"gold": "d", "dtype": "fp32", "slice": "all", "level": "entity", "mode": "strict", "label": "overall"}
    row |= {"average": "micro", "aggregation": "model", "metric": "f1", "status": "ok"} | columns
    rows = [
        row | {"run_id": str(n), "value": value, "started_at": start + timedelta(seconds=n)}
        for n, value in enumerate(values)
    ]
    write_table(results, "metrics", rows, date="2030-01-01", key=row["model"])


def test_points_that_are_not_drawn_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = str(tmp_path)
    headlines(results, [n / 100 for n in range(90)])
    monkeypatch.setattr(module, "POINTS", 60)
    found = read_history(results, "2030-01-01")
    (series,) = plain_history(found)["series"]
    assert len(series["t"]) == len(series["v"]) == len(series["run"]) <= 62
    assert (series["total"], series["v"][0], series["v"][-1]) == (90, 0, 89)
    (trend,) = trends(found).values()
    assert trend.words.endswith("to 89.0 in the last 30 of 90 runs")
    assert len(trend.points.split()) == 30


def test_a_long_history_is_cut_and_reported(nights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = len(list(Path(nights).glob("metrics/*/date=2030-01-02/*.parquet")))
    for most, dates, is_cut in ((2 * files + 2, 2, False), (files, 1, True), (1, 1, True)):
        monkeypatch.setattr(module, "FILES", most)
        found = read_history(nights, "2030-01-02")
        assert (found.dates, found.is_cut) == (dates, is_cut)
        assert plain_history(found)["cut"] == is_cut
    assert read_history(nights, "2030-01-01").dates == 1


def test_a_small_trend_of_noise_looks_flat(tmp_path: Path) -> None:
    results = str(tmp_path)
    headlines(results, [0.9, 0.9003, 0.8999])
    (trend,) = trends(read_history(results, "2030-01-01")).values()
    heights = [float(pair.split(",")[1]) for pair in trend.points.split()]
    assert max(heights) - min(heights) < 0.1 * HEIGHT
    assert trend.words == "from 90.0 to 90.0 in 3 runs"


def test_means_over_seeds_undefined_numbers_and_single_scores_are_no_trends(tmp_path: Path) -> None:
    results = str(tmp_path)
    headlines(results, [0.5, 0.6], model="mean", n_models=3)
    headlines(results, [None, 0.7], model="once")
    found = read_history(results, "2030-01-01")
    assert [(one.about["model"], one.total) for one in found.series] == [("once", 1)]
    assert trends(found) == {}
