"""Attempts of one run: each adds the annotations that the earlier ones lacked, and written rows stay."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from benched import run_of
from publishing_rows import metric

from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.tables.compaction import compact
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.results.rows import complete_metrics, write_custom, write_seeds, write_user_metrics
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, metrics_keys

ABOUT = {"artifact_id": "a" * 64, "model_sha256": "b" * 64, "predictions_digest": "c" * 64}
PREDICTED = Predicted(uri="there", **{k: v for k, v in (metric(0.5) | ABOUT).items() if k in Predicted.model_fields})
Write = Callable[[Run, Sequence[Row]], list[str]]


def models(run: Run, rows: Sequence[Row]) -> list[str]:
    return complete_metrics(run, PREDICTED, rows)


def seeds(run: Run, rows: Sequence[Row]) -> list[str]:
    return write_seeds(run, "tagger", rows)


def users(run: Run, rows: Sequence[Row]) -> list[str]:
    return [stored.uri for stored in write_user_metrics(run, PREDICTED, rows)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_of(str(tmp_path / "results"))


def scores(run: Run, *golds: str, value: float = 0.5) -> list[Row]:
    return [metric(value, gold=gold, label=label, **run.columns, **ABOUT) for gold in golds for label in ("LOC", "PER")]


def written(run: Run) -> list[tuple[str, str]]:
    return sorted((row["gold"], row["label"]) for row in read_results(run.results, "metrics").to_pylist())


ATTEMPTS = [
    [("news",), ("news", "second")],
    [("second",), ("news", "second")],
    [("news",), ("news", "second"), ("news", "second", "third")],
    [("news", "second"), ("second",), ("news", "second")],
    [("news",), ("second",), ("third",), ("news", "second", "third")],
]


@pytest.mark.parametrize("write", [models, seeds, users])
@pytest.mark.parametrize("attempts", ATTEMPTS)
@pytest.mark.parametrize("packed", [False, True])
def test_attempts_complete_each_other(run: Run, write: Write, attempts: list[tuple[str, ...]], packed: bool) -> None:
    for golds in attempts:
        rows = [row for uri in write(run, scores(run, *golds)) for row in pq.ParquetFile(uri).read().to_pylist()]
        assert {row["gold"] for row in rows} >= set(golds), "the locations are those of all rows"
        if packed:
            compact(run.results, ["metrics"], grace=timedelta(0), now=datetime(2030, 2, 1, tzinfo=UTC))
    everything = {gold for golds in attempts for gold in golds}
    assert written(run) == sorted((gold, label) for gold in everything for label in ("LOC", "PER"))


@pytest.mark.parametrize("write", [models, seeds])
@pytest.mark.parametrize("first", [("news",), ("news", "second")])
def test_other_rows_of_the_same_annotation_conflict(run: Run, write: Write, first: tuple[str, ...]) -> None:
    write(run, scores(run, *first))
    with pytest.raises(ConflictError, match="value of row 0"):
        write(run, scores(run, "news", "second", value=0.25))


def test_the_next_attempt_adds_means_of_custom_metrics_that_failed_as_a_whole(run: Run) -> None:
    builtin = scores(run, "news")
    custom = [row | {"level": "custom", "mode": "custom", "metric": "seconds"} for row in builtin]
    for rows in (builtin, builtin + custom, builtin):
        uris = seeds(run, rows)
    assert [Path(uri).exists() for uri in uris] == [True]
    assert read_results(run.results, "metrics").num_rows == len(builtin + custom)


def test_custom_metrics_of_the_first_attempt_stay(run: Run) -> None:
    """They may time the model."""
    for attempt, golds in enumerate([("news",), ("news", "second"), ("news", "second")]):
        users(run, scores(run, *golds, value=attempt / 4))
    found = {row["gold"]: row["value"] for row in read_results(run.results, "metrics").to_pylist()}
    assert found == {"news": 0.0, "second": 0.25}


def test_values_of_functions_are_those_of_the_first_attempt(run: Run) -> None:
    """Their durations differ each time."""
    values = {"name": "size", "parameters": "{}", "tags": ["small"], "status": "ok", "source": "own.py", **run.columns}
    (first,), (second,) = (write_custom(run, None, [values | {"value": v, "call_s": v}]) for v in (1.0, 2.0))
    assert first.uri == second.uri
    assert [row | values | {"value": 1.0} for row in second.rows] == second.rows
    assert len(second.rows) == 1


def test_the_next_attempt_adds_functions_over_missing_predictions(run: Run) -> None:
    known = {"parameters": "{}", "tags": [], "status": "ok", "source": "own.py", **run.columns}
    size = known | {"name": "size"}
    words, right = ({"dataset": "news", "gold": "second", "name": name} | known for name in ("words", "right.share"))
    for value, rows in enumerate([[size, words], [size, words, right, right | {"name": "right.all"}]] * 2):
        stored = write_custom(run, None, [row | {"value": float(value)} for row in rows])
    found = {row["name"]: row["value"] for row in read_results(run.results, "custom").to_pylist()}
    assert found == {"size": 0.0, "words": 0.0, "right.share": 1.0, "right.all": 1.0}
    assert {row["name"]: row["value"] for one in stored for row in one.rows} == found


def test_the_files_of_an_annotation_are_named_without_listing_them(run: Run) -> None:
    for golds in (("news",), ("news", "second")):
        uris = models(run, scores(run, *golds))
    of = metrics_keys(run.run_id, PREDICTED.artifact_id, "news", "second")
    assert {Path(uri).stem for uri in uris} == of
