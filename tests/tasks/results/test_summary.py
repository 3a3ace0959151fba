"""The summary of a run, from rows of known values."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scored_runs import write_run

from nerbench.artifacts.errors import InputError
from nerbench.tasks.results.summary import (
    RUN_COLUMNS,
    gold_differences,
    leaderboard,
    newest_runs,
    scores_by_label,
    speed_and_memory,
    user_metric_rows,
)
from nerbench.tasks.scoring.metrics import Row


def test_the_leaderboard_has_one_row_a_model_best_first() -> None:
    def row(model: str, label: str, value: float | None, **changes: Any) -> Row:
        common = {"artifact_id": model, "model": model, "dataset": "d", "gold": "d", "level": "entity"}
        kind = {"mode": "strict", "metric": "f1", "average": "micro" if label == "overall" else "", "slice": "all"}
        return {**common, **kind, "label": label, "value": value, **changes}

    found = leaderboard(
        [
            row("worse", "overall", 0.5),
            row("better", "overall", 0.87654),
            row("better", "PER", 0.9),
            row("better", "LOC", None),
            row("better", "overall", 0.8, mode="conlleval"),
            row("better", "overall", 0.1, average="macro"),
            row("better", "overall", 0.2, level="token", mode="tag"),
            row("better", "overall", 0.75, metric="recall"),
            row("better", "overall", 0.3, slice="unseen"),
            row("better", "PER", 0.4, slice="unseen"),
            row("better", "overall", 0.6, metric="brier"),
            row("better", "overall", 7.0, metric="mine", level="custom", mode="custom", average=""),
            row("unscored", "overall", 7.0, metric="mine", level="custom", mode="custom", average=""),
        ]
    )
    assert found == [
        {"model": "better", "dataset": "d", "gold": "d", "F1": 87.65, "PER": 90, "conlleval": 80, "recall": 75},
        {"model": "worse", "dataset": "d", "gold": "d", "F1": 50},
    ]


def test_averages_follow_the_types_of_each_model() -> None:
    def row(model: str, label: str, metric: str, value: float | None, **changes: Any) -> Row:
        common = {"artifact_id": model, "model": model, "dataset": "d", "gold": "d", "level": "entity", "slice": "all"}
        numbers = {"value": value, "ci_low": 0.5, "ci_high": None, "support": 7, "average": ""}
        return {**common, **numbers, "mode": "strict", "label": label, "metric": metric, **changes}

    found = scores_by_label(
        [
            row("b", "PER", "f1", 0.5),
            row("a", "overall", "f1", 0.25, average="macro"),
            row("a", "overall", "recall", 0.75, average="micro"),
            row("a", "PER", "precision", None),
            row("a", "PER", "recall", 0.12345),
            row("a", "PER", "f1", 0.9, mode="exact"),
            row("a", "PER", "f1", 0.8, slice="unseen"),
            row("a", "PER", "brier", 0.1),
        ]
    )
    place, interval = {"dataset": "d", "gold": "d"}, {"F1 from": 50.0, "F1 to": None, "entities": 7}
    assert found == [
        {"model": "a", **place, "label": "PER", "precision": None, "recall": 12.35},
        {"model": "a", **place, "label": "macro average", "F1": 25.0, **interval},
        {"model": "a", **place, "label": "micro average", "recall": 75.0},
        {"model": "b", **place, "label": "PER", "F1": 50.0, **interval},
    ]


def test_golds_differ_by_label() -> None:
    def row(gold: str, **numbers: float) -> Row:
        return {"model": "m", "dataset": "d", "gold": gold, **numbers}

    rows = [row("d", F1=90.5, LOC=80.0), row("second", F1=90.0, LOC=81.25, NEW=1.0)]
    assert gold_differences(rows) == [row("second", F1=-0.5, LOC=1.25)]
    assert gold_differences(rows[:1]) == gold_differences(rows[1:]) == []


def test_custom_numbers_are_those_of_all_entities() -> None:
    common = {"model": "m", "dataset": "d", "gold": "g", "label": "LOC", "parameters": None, "reason": None}

    def row(value: float, **changes: str | None) -> Row:
        kind = {"source": "mine.py@1", "metric": "mine", "slice": "all", "mode": "strict", "average": ""}
        return common | {"value": value} | kind | changes

    rows = [
        row(1, source=None),
        row(2),
        row(3, slice="unseen"),
        row(4, mode="conlleval"),
        row(5, average="macro"),
        row(6, average="micro"),
        row(7, mode="custom"),
    ]
    assert user_metric_rows(rows) == [common | {"metric": "mine", "value": value} for value in (2, 6, 7)]


def test_speed_and_memory_side_by_side() -> None:
    speed = {"artifact_id": "a", "model": "m", "device": "cpu", "dtype": "fp32", "status": "ok"}
    speed |= {"p50_s": 0.002, "p90_s": 0.004, "words_per_s": 1234.5}
    memory = {"artifact_id": "a", "load_s": 0.5, "weights_bytes": 4e6, "peak_rss_bytes": 30e6}
    shown = {"model": "m", "device": "cpu", "dtype": "fp32", "p50 ms": 2.0, "p90 ms": 4.0, "words/s": 1234}
    more = {"load s": 0.5, "weights MB": 4.0, "peak over baseline MB": 10.0}
    assert speed_and_memory([speed], [memory | {"baseline_rss_bytes": 20e6}]) == [shown | more]
    unknown = memory | {"baseline_rss_bytes": None}
    assert speed_and_memory([speed], [unknown])[0]["peak over baseline MB"] is None
    assert speed_and_memory([speed, speed | {"status": "out of memory"}], []) == [shown]


def test_runs_are_listed_once_by_their_last_attempt_newest_first(tmp_path: Path) -> None:
    results = str(tmp_path)
    for night, hour in ((1, 0), (2, 0), (2, 5), (3, 0)):
        write_run(results, night, {}, hour=hour, outcome="ok")
    write_run(results, 2, {}, hour=5, attempt=1, outcome="failed", failures="tiny: no room")
    found = newest_runs(results, 10)
    assert [row["run_id"] for row in found] == ["night-3", "night-2-5", "night-2", "night-1"]
    assert all(tuple(row) == RUN_COLUMNS for row in found)
    assert (found[1]["outcome"], found[1]["failures"]) == ("failed", "tiny: no room")
    assert found[1]["started_at"] - found[2]["started_at"] == timedelta(hours=5, minutes=1)
    assert newest_runs(results, 2) == found[:2]
    assert newest_runs(results, 10, "2030-01-02") == found[:3]
    with pytest.raises(InputError, match="hold no run since 2030-01-04"):
        newest_runs(results, 10, "2030-01-04")
