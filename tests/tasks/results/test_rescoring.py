"""Rescoring earlier runs: their predictions, and added rows."""

from pathlib import Path
from typing import Any

import pytest
from benched import run_of
from tagging import predictions_table, random_sentences

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import read_results, table_key, write_table
from nerbench.tasks.results.rescoring import scored_predictions, write_missing
from nerbench.tasks.results.rows import metric_rows
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import ROW
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key

LOC = ROW | {"slice": "all", "level": "entity", "mode": "strict", "label": "LOC", "average": "", "metric": "f1"}
LOC |= {"value": 0.5, "status": "ok"}
UNSEEN = LOC | {"slice": "unseen", "value": None, "status": "unavailable", "reason": "no training corpus"}


@pytest.fixture
def results(tmp_path: Path) -> str:
    return str(tmp_path / "results")


def predict(results: str, seed: int = 1, **changes: Any) -> Predicted:
    """Stored predictions."""
    table = predictions_table(*random_sentences(seed, 5))
    (row,) = table.slice(0, 1).to_pylist()
    about = {name: row[name] for name in Predicted.model_fields if name in row} | changes
    uri = write_table(results, "predictions", table, date="2030-01-02", key=predictions_key(about))
    return Predicted(uri=uri, model_sha256="the model_sha256", **about)


def write(run: Run, predicted: Predicted, *rows: Row, key: str = "") -> str:
    """Write rows of a run."""
    known = metric_rows(run, predicted, rows or [LOC])
    return write_table(run.results, "metrics", known, date=run.date, key=table_key(run.run_id, key, predicted.gold))


def of_run(results: str, run_id: str) -> list[Row]:
    rows: list[Row] = read_results(results, "metrics", filters=[("run_id", "=", run_id)]).to_pylist()
    return rows


def test_predictions_are_found_once_with_all_their_runs(results: str) -> None:
    one, other = predict(results), predict(results, 2)
    for name, day in (("a", 2), ("b", 4), ("c", 3)):
        write(run_of(results, name, day), one)
    write(run_of(results, "d", 3), other)
    found = scored_predictions(results, None)
    assert {scored.predicted: [run.run_id for run in scored.runs] for scored in found} == {
        one: ["b", "c", "a"],
        other: ["d"],
    }
    assert [run.date for run in found[0].runs] == ["2030-01-04", "2030-01-03", "2030-01-02"]
    assert found[0].runs[0].started_at == run_of(results, "b", 4).started_at


@pytest.mark.parametrize(("since", "runs"), [("2030-01-02", "ba"), ("2030-01-03", "b"), ("2030-01-04", "b")])
def test_only_runs_of_that_day_and_later(results: str, since: str, runs: str) -> None:
    for name, day in (("a", 2), ("b", 4)):
        write(run_of(results, name, day), predict(results))
    (found,) = scored_predictions(results, since)
    assert [run.run_id for run in found.runs] == list(runs)


def test_attempts_are_one_run(results: str) -> None:
    predicted = predict(results)
    for attempt in (1, 2):
        write(run_of(results, attempt=attempt), predicted, key=str(attempt))
    (found,) = scored_predictions(results, None)
    assert len(found.runs) == 1


def test_each_annotation_is_scored_separately(results: str) -> None:
    one = predict(results)
    other = one.model_copy(update={"gold": "second", "gold_sha256": "another"})
    table = predictions_table(*random_sentences(1, 5))
    key = predictions_key(other.model_dump())
    other = other.model_copy(update={"uri": write_table(results, "predictions", table, date="2030-01-02", key=key)})
    write(run_of(results), one, LOC, LOC | {"label": "PER"})
    write(run_of(results), other)
    assert {scored.predicted for scored in scored_predictions(results, None)} == {one, other}
    _, added = write_missing(run_of(results), other, [LOC, LOC | {"label": "PER"}])
    assert [(row["gold"], row["label"]) for row in added] == [("second", "PER")]


def test_means_over_seeds_are_not_predictions(results: str) -> None:
    write(run_of(results), predict(results), LOC | {"n_models": 2, "std": 0.1})
    with pytest.raises(InputError, match="hold no scores; run `nerbench benchmark` first"):
        scored_predictions(results, None)


def test_unscorable_predictions_are_reported(results: str) -> None:
    with pytest.raises(InputError, match="hold no scores; "):
        scored_predictions(results, None)
    predicted = predict(results)
    write(run_of(results), predicted)
    with pytest.raises(InputError, match="hold no scores since 2030-01-03; "):
        scored_predictions(results, "2030-01-03")
    with pytest.raises(InputError, match="date 'yesterday': is not a date; write it as YYYY-MM-DD"):
        scored_predictions(results, "yesterday")
    Path(predicted.uri).unlink()
    (lost,) = scored_predictions(results, None)
    with pytest.raises(InputError, match=r"the predictions of the model on the dataset \(the gold\) are gone; run"):
        _ = lost.predicted


def test_missing_rows_are_added_to_their_run_and_nothing_is_touched(results: str) -> None:
    predicted, run = predict(results), run_of(results)
    before = Path(write(run, predicted))
    content = before.read_bytes()
    other = write(run_of(results, "other"), predicted)
    mine = LOC | {"metric": "mine", "source": "mine.py@1", "parameters": "k=1", "value": 2.0}
    uri, added = write_missing(run, predicted, [LOC | {"value": 0.7}, mine])
    assert uri is not None
    assert Path(uri).parent == before.parent
    assert uri not in (str(before), other)
    assert [row["metric"] for row in added] == ["mine"]
    assert before.read_bytes() == content
    assert [(row["metric"], row["value"]) for row in of_run(results, "other")] == [("f1", 0.5)]
    rows = {row["metric"]: row for row in of_run(results, "first")}
    known = run.columns | predicted.model_dump(exclude={"uri"})
    assert {name: rows["mine"][name] for name in known} == known
    assert rows["f1"]["value"] == 0.5
    assert write_missing(run, predicted, [LOC, mine]) == (None, [])
    for change in ({"source": "mine.py@2"}, {"parameters": "k=2"}, {"slice": "unseen"}):
        _, added = write_missing(run, predicted, [LOC, mine, mine | change])
        assert len(added) == 1
    assert len(of_run(results, "first")) == 5


@pytest.mark.parametrize("status", ["unavailable", "failed"])
def test_a_number_replaces_a_reason(results: str, status: str) -> None:
    predicted, run = predict(results), run_of(results)
    write(run, predicted)
    missing = UNSEEN | {"status": status}
    number = missing | {"value": 0.25, "status": "ok", "reason": None}
    assert len(write_missing(run, predicted, [missing])[1]) == 1
    assert write_missing(run, predicted, [missing | {"reason": "another"}]) == (None, [])
    assert len(write_missing(run, predicted, [number])[1]) == 1
    assert write_missing(run, predicted, [number]) == (None, [])
    assert write_missing(run, predicted, [missing]) == (None, [])
    assert [row["value"] for row in of_run(results, "first") if row["slice"] == "unseen"].count(0.25) == 1
