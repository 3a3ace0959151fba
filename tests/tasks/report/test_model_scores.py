"""Model scores: the rows of `metrics` for each, and the numbers in them."""

from datetime import UTC, datetime
from typing import Any

from scored_runs import end_run

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.report.formats import interval, megabytes, milliseconds, signed, significant
from nerbench.tasks.report.model_scores import read_model_scores
from nerbench.tasks.report.report import build
from nerbench.tasks.results.query import select_runs


def row(night: int = 1, value: float | None = 0.5, **changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "run_id": f"night-{night}",
        "started_at": datetime(2030, 1, night, tzinfo=UTC),
        "attempt": 1,
    }
    known |= {
        "artifact_id": "a" * 64,
        "model_sha256": "m",
        "model": "one",
        "dataset": "d",
        "split": "test",
        "gold": "d",
    }
    known |= {"dtype": "fp32", "slice": "all", "level": "entity", "mode": "strict", "label": "overall"}
    return (
        known | {"average": "micro", "aggregation": "model", "metric": "f1", "status": "ok", "value": value} | changes
    )


def write(results: str, *rows: dict[str, Any], night: int = 1) -> None:
    write_table(results, "metrics", list(rows), date=f"2030-01-{night:02}", key=f"k{night}")
    end_run(results, f"2030-01-{night:02}", **{name: rows[0][name] for name in ("run_id", "started_at")})


def test_a_later_number_replaces_the_reason_for_its_absence(tmp_path: Any) -> None:
    results = str(tmp_path)
    write(
        results,
        row(value=None, status="failed", reason="why"),
        row(value=0.7),
        row(value=None, label="PER", average=""),
    )
    (entry,) = read_model_scores(results, select_runs(results))
    assert entry.number() == 0.7
    assert entry.labels == ["PER"]
    assert entry.number(label="PER") is None
    assert entry.find("f1", label="LOC") is None
    assert entry.find("recall") is None


def test_the_main_annotation_is_first_then_the_best_and_the_newest_run(tmp_path: Any) -> None:
    results = str(tmp_path)
    other = {"artifact_id": "b" * 64, "model": "two"}
    write(results, row(gold="x"), row(**other, value=0.6), row(value=0.4), row(**other, gold="x", value=0.9))
    write(results, row(2, value=0.8), night=2)
    runs = select_runs(results, ["night-1", "night-2"])
    found = [(one.name, one.place, one.number(), one.run.run_id) for one in read_model_scores(results, runs)]
    assert found == [
        ("one", "d", 0.8, "night-2"),
        ("two", "d", 0.6, "night-1"),
        ("two", "d against x", 0.9, "night-1"),
        ("one", "d against x", 0.5, "night-1"),
    ]


def test_means_over_seeds_and_custom_metrics_are_shown(tmp_path: Any) -> None:
    results = str(tmp_path)
    own = {"metric": "long<recall>", "source": "my.py", "mode": "strict", "average": "", "value": 0.25}
    write(results, row(), row(**own), row(model="mean", n_models=3, std=0.01, artifact_id="c" * 64, value=0.55))
    report = build(results)
    assert [(one.model, one.role, one.std) for one in report.board.rows] == [
        ("mean", "mean of 3 seeds", 1.0),
        ("one", "", None),
    ]
    assert "± 1.00" in report.html
    assert "long&lt;recall&gt;" in report.html
    assert "Metrics of your own" in report.html


def test_numbers_are_formatted_for_readers() -> None:
    assert [signed(value) for value in (0.04, -0.04, 1.25, -3.0, None)] == ["0.0", "0.0", "+1.2", "−3.0", "–"]
    assert [milliseconds(value) for value in (0.00123, 0.0217, 0.517, None)] == ["1.23", "21.7", "517", "–"]
    assert [megabytes(value) for value in (1.5e6, 307e6, None)] == ["1.50", "307", "–"]
    assert [significant(value) for value in (1234, 0.123456, "x", True, None)] == ["1,234", "0.1235", "x", "yes", "–"]
    assert interval(None) == ""
