"""One number over all runs: its values, changes between runs, and dates without a run."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import table_key, write_table
from nerbench.tasks.config import Config
from nerbench.tasks.results.history import MOST_SINCE, Point, Query, deployment_of, history, missing_dates

NIGHTLY = "benchmark-nightly@2030-01-{:02}T02:00:00.000000+00:00"


@pytest.fixture
def results(tmp_path: Path) -> str:
    return str(tmp_path / "results")


def score(results: str, night: int, value: float | None, run_id: str | None = None, **changes: Any) -> None:
    """The F1 of the model `tagger` in one run."""
    run_id = NIGHTLY.format(night) if run_id is None else run_id
    identity = dict.fromkeys(("artifact_id", "model_sha256", "words_sha256", "gold_sha256"), "a" * 64)
    row = {
        **{"run_id": run_id, "started_at": datetime(2030, 1, night, 2, tzinfo=UTC), "attempt": 1},
        **identity,
        **{"predictions_digest": "p" * 64, "model": "tagger", "dataset": "own", "gold": "own", "split": "test"},
        **{"dtype": "fp32", "slice": "all", "level": "entity", "mode": "strict", "label": "overall"},
        **{
            "average": "micro",
            "aggregation": "model",
            "metric": "f1",
            "value": value,
            "status": "ok" if value is not None else "undefined",
        },
    }
    row |= changes
    key = table_key(run_id, *(str(row[name]) for name in ("model", "dataset", "gold", "label", "average", "metric")))
    write_table(results, "metrics", [row], date=f"2030-01-{night:02}", key=key)


def run(results: str, night: int, outcome: str = "ok", run_id: str | None = None, **environment: Any) -> None:
    """The row of a run."""
    run_id = NIGHTLY.format(night) if run_id is None else run_id
    about = {"run_id": run_id, "started_at": datetime(2030, 1, night, 2, tzinfo=UTC), "flow": "benchmark"}
    about |= {"configuration": Config().model_dump_json(), "outcome": outcome} | environment
    write_table(results, "runs", [about], date=f"2030-01-{night:02}", key=table_key(run_id))


def points(results: str, **asked: Any) -> list[Point]:
    (series,) = history(results, "tagger", Query(**asked))
    return list(series.points)


def test_values_with_their_intervals_and_changes(results: str) -> None:
    score(results, 2, 0.9, ci_low=0.88, ci_high=0.92)
    score(results, 1, 0.8)
    score(results, 3, None, reason="nothing predicted")
    score(results, 4, 0.85)
    first, second, third, fourth = points(results)
    assert [one.date for one in (first, second, third, fourth)] == [f"2030-01-0{n}" for n in (1, 2, 3, 4)]
    assert (first.value, first.change) == (0.8, None)
    assert (second.ci_low, second.ci_high, second.change) == (0.88, 0.92, pytest.approx(0.1))
    assert (third.value, third.change, third.reason) == (None, None, "nothing predicted")
    assert fourth.change == pytest.approx(-0.05), "against the last night that has a number"


def test_only_the_requested_number_is_shown(results: str) -> None:
    score(results, 1, 0.8)
    score(results, 1, 0.7, average="macro")
    score(results, 1, 0.6, label="PER", average="")
    score(results, 1, 0.5, label="PER", average="", metric="recall")
    score(results, 1, 0.4, model="other")
    assert [one.value for one in points(results)] == [0.8]
    assert [one.value for one in points(results, label="PER")] == [0.6]
    assert [one.value for one in points(results, label="PER", metric="recall")] == [0.5]


def test_each_annotation_is_a_series_with_the_main_one_first(results: str) -> None:
    for gold in ("zold", "own", "bold"):
        score(results, 1, 0.5, gold=gold)
    score(results, 1, 0.5, dataset="another", gold="another")
    found = history(results, "tagger", Query())
    assert [(one.dataset, one.gold) for one in found] == [
        ("another", "another"),
        ("own", "own"),
        ("own", "bold"),
        ("own", "zold"),
    ]
    assert len(history(results, "tagger", Query(gold="bold"))) == 1
    assert len(history(results, "tagger", Query(dataset="own"))) == 3


def test_changes_between_runs_are_reported(results: str) -> None:
    new = "b" * 64
    changes: list[dict[str, str]] = [
        {},
        {},
        {"predictions_digest": "q" * 64},
        {"artifact_id": new, "predictions_digest": "q" * 64},
        {"artifact_id": new, "model_sha256": new, "predictions_digest": "r" * 64},
        {"words_sha256": new, "gold_sha256": new},
    ]
    changes[5] |= changes[4]
    for night, one in enumerate(changes, start=1):
        score(results, night, 0.5, **one)
        run(results, night, torch="2.13" if night < 2 else "2.14", ram_bytes=night, cpu_flags=f"a f{night < 2}")
    assert [one.changed for one in points(results)] == [
        (),
        ("torch 2.13 → 2.14", "cpu_flags"),
        ("predictions",),
        ("published again, the same weights",),
        ("model bbbbbbbb → bbbbbbbb",),
        ("words aaaaaaaa → bbbbbbbb", "gold aaaaaaaa → bbbbbbbb"),
    ]


def test_missed_and_failed_runs_are_points(results: str) -> None:
    for night in (1, 2, 4, 5, 6, 8):
        run(results, night, outcome="failed" if night == 5 else "ok")
        if night not in (5, 6):
            score(results, night, 0.5)
    found = {one.date[-1]: (one.run_id is None, one.reason) for one in points(results)}
    assert found == {
        "1": (False, None),
        "2": (False, None),
        "3": (True, "no run"),
        "4": (False, None),
        "5": (False, "the run failed"),
        "6": (False, "the model was not scored in it"),
        "7": (True, "no run"),
        "8": (False, None),
    }


def test_manual_runs_leave_no_gaps(results: str) -> None:
    for night in (1, 2, 3, 9):
        score(results, night, 0.5, run_id=f"by-hand-{night}")
    assert len(points(results)) == 4


def test_since_leaves_out_earlier_runs(results: str) -> None:
    for night in (1, 2, 3):
        score(results, night, 0.5)
    assert [one.date for one in points(results, since="2030-01-02")] == ["2030-01-02", "2030-01-03"]


@pytest.mark.parametrize(
    ("model", "asked", "says"),
    [
        ("tager", {}, ("'tager'", "tagger")),
        ("tagger@latest", {}, ("'tagger@latest'", "write tagger")),
        ("./models/tagger", {}, ("write tagger",)),
        ("tagger", {"metric": "f2"}, ("--metric f2", "f1")),
        ("tagger", {"label": "PRE"}, ("--label PRE", "overall")),
        ("tagger", {"slice": "unsen"}, ("--slice unsen", "all")),
        ("tagger", {"mode": "lax"}, ("--mode lax", "strict")),
        ("tagger", {"dataset": "web"}, ("--dataset web", "own")),
        ("tagger", {"gold": "new"}, ("--gold new", "own")),
        ("tagger", {"since": "2031-01-01"}, ("--since 2031-01-01", "earlier")),
        ("tagger", {"since": "monday"}, ("'monday'", "YYYY-MM-DD")),
    ],
)
def test_unknown_names_are_listed(results: str, model: str, asked: dict[str, str], says: tuple[str, ...]) -> None:
    score(results, 1, 0.5)
    with pytest.raises(InputError) as raised:
        history(results, model, Query(**asked))
    assert all(part in str(raised.value) for part in says), str(raised.value)


def test_empty_results_are_reported(results: str) -> None:
    with pytest.raises(InputError, match="hold no scores yet"):
        history(results, "tagger", Query())


@pytest.mark.parametrize(
    ("days", "missing"),
    [
        ([], []),
        ([1], []),
        ([1, 5], []),
        ([1, 2, 3], []),
        ([1, 2, 4], [3]),
        ([1, 2, 6, 7], [3, 4, 5]),
        ([1, 8, 22], [15]),
        ([1, 1, 2, 3, 5], [4]),
        ([1, 3, 6], [5]),
    ],
)
def test_missing_dates(days: list[int], missing: list[int]) -> None:
    dates = [f"2030-01-{day:02}" for day in days]
    assert missing_dates(dates) == [f"2030-01-{day:02}" for day in missing]


@pytest.mark.parametrize(
    ("days", "until", "missing"),
    [([1, 2, 3], 3, []), ([1, 2, 3], 4, []), ([1, 2, 3], 6, [4, 5]), ([1, 8, 15], 23, [22]), ([1, 5], 9, [])],
)
def test_dates_since_the_last_run_are_missing_too(days: list[int], until: int, missing: list[int]) -> None:
    dates = [f"2030-01-{day:02}" for day in days]
    assert missing_dates(dates, f"2030-01-{until:02}") == [f"2030-01-{day:02}" for day in missing]


def test_an_abandoned_schedule_does_not_stay_missing() -> None:
    assert len(missing_dates(["2030-01-01", "2030-01-02", "2030-01-03"], "2031-01-01")) == MOST_SINCE


@given(st.sets(st.integers(1, 28), min_size=20))
def test_present_and_missing_dates_are_all_dates(days: set[int]) -> None:
    dates = sorted(f"2030-01-{day:02}" for day in days)
    expected = [f"2030-01-{day:02}" for day in range(min(days), max(days)) if day not in days]
    assert missing_dates(dates) == expected


def test_scheduled_and_manual_runs_are_distinguished() -> None:
    assert deployment_of(NIGHTLY.format(3)) == "benchmark-nightly"
    assert deployment_of("0190-uuid") is None
    assert deployment_of("me@home") is None
