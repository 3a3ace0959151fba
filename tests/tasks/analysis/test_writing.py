"""The tables of analyses: written once for the predictions they name."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from brute_force import IDENTITY, described
from tagging import Sentences, predictions_table, random_sentences

from nerbench.artifacts.tables.schemas import IDENTITY as COLUMNS
from nerbench.artifacts.tables.schemas import schema
from nerbench.artifacts.tables.tables import read_results, write_table
from nerbench.tasks.analysis.analysis import analyse, write_analysis
from nerbench.tasks.analysis.calibration import Calibration, calibration
from nerbench.tasks.analysis.errors import confusion, errors
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.stored_predictions import Predicted
from nerbench.tasks.scoring.tagged_words import TaggedWords

GOLD, PREDICTED = random_sentences(1, 300)
WORDS = described(GOLD, PREDICTED)
TABLES = ("confusion", "errors", "calibration")


def run_on(folder: Path, date: str) -> Run:
    started = datetime(2026, 1, 2, tzinfo=UTC)
    return Run(run_id=date, flow="benchmark", date=date, started_at=started, attempt=1, results=str(folder))


def write(folder: Path, words: TaggedWords = WORDS, date: str = "2026-01-02", **identity: str) -> dict[str, str]:
    def calibrated() -> Calibration:
        return calibration([words])

    return write_analysis(run_on(folder, date), IDENTITY | identity, lambda: [words], calibrated, found_at=date)


def test_the_tables_contain_the_results(tmp_path: Path) -> None:
    assert set(write(tmp_path)) == set(TABLES)
    found = {table: read_results(str(tmp_path), table) for table in TABLES}
    for table, rows in found.items():
        assert rows.column_names == schema(table).names
        assert rows.select(COLUMNS).to_pylist() == [IDENTITY] * rows.num_rows
        assert set(rows["run_date"].to_pylist()) == {datetime(2026, 1, 2).date()}
    found = {table: rows.drop(["run_date"]) for table, rows in found.items()}
    assert found["confusion"].drop(list(COLUMNS)).to_pylist() == confusion([WORDS])
    assert found["errors"].drop(list(COLUMNS)).to_pylist() == errors([WORDS]).to_pylist()
    assert found["calibration"].drop(list(COLUMNS)).to_pylist() == [
        {name: row[name] for name in found["calibration"].column_names if name not in COLUMNS}
        for row in calibration([WORDS]).rows
    ]


def test_a_later_run_finds_them_without_reading_words(tmp_path: Path) -> None:
    def unread() -> NoReturn:
        raise AssertionError("read again")

    first = write(tmp_path)
    night = run_on(tmp_path, "2026-01-03")
    for found_at in ("2026-01-02", "2026-01-01"):
        assert write_analysis(night, IDENTITY, unread, unread, found_at=found_at) == first


@pytest.mark.parametrize("column", ["artifact_id", "words_sha256", "gold_sha256", "predictions_digest"])
def test_other_predictions_have_other_files(tmp_path: Path, column: str) -> None:
    assert not set(write(tmp_path).values()) & set(write(tmp_path, **{column: "other"}).values())


def test_workers_whose_scores_differ_do_not_clash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if neither had found the file of the other."""
    monkeypatch.setattr("nerbench.tasks.analysis.analysis.find_once", lambda *_, **__: None)
    assert WORDS.score is not None
    first = write(tmp_path)
    assert write(tmp_path, replace(WORDS, score=WORDS.score**2, text=None), model="renamed") == first


def test_a_model_that_predicts_nothing_is_analysed_once_too(tmp_path: Path) -> None:
    words = described(GOLD, [["O"] * len(tags) for tags in GOLD])
    assert set(write(tmp_path, words)) == set(TABLES)
    assert read_results(str(tmp_path), "calibration").num_rows == 0


def test_without_scores_calibration_waits_until_there_are_some(tmp_path: Path) -> None:
    assert set(write(tmp_path, replace(WORDS, score=None))) == {"confusion", "errors"}
    assert set(write(tmp_path, WORDS)) == set(TABLES)


def stored(folder: Path, gold: Sentences, predicted: Sentences) -> Predicted:
    rows = predictions_table(gold, predicted)
    uri = write_table(str(folder), "predictions", rows, date="2026-01-02", key="k")
    (row,) = rows.slice(0, 1).to_pylist()
    known = {name: row[name] for name in COLUMNS}
    return Predicted(uri=uri, model_sha256="the model_sha256", **known)


def test_stored_predictions_are_analysed_for_a_run(tmp_path: Path) -> None:
    run = run_on(tmp_path, "2026-01-02").model_copy(update={"run_id": "r"})
    found = analyse(run, stored(tmp_path, GOLD, PREDICTED), BenchmarkConfig())
    assert set(found.tables) == set(TABLES)
    assert set(read_results(str(tmp_path), "errors")["gold_sha256"].to_pylist()) == {"the gold_sha256"}
    write_table(str(tmp_path), "metrics", found.metrics, date="2026-01-02", key="k")
    metrics = read_results(str(tmp_path), "metrics")
    assert set(metrics["metric"].to_pylist()) == {"ece_equal_mass", "ece_equal_width", "brier", "aurc"}
    assert set(metrics["run_id"].to_pylist()) == {"r"}


def test_calibration_is_computed_once_a_run_for_its_table_and_its_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(parts: Iterable[TaggedWords]) -> Calibration:
        calls.append(1)
        return calibration(parts)

    monkeypatch.setattr("nerbench.tasks.analysis.analysis.calibration", counted)
    predicted = stored(tmp_path, GOLD, PREDICTED)
    first, later = (
        analyse(run_on(tmp_path, date), predicted, BenchmarkConfig()) for date in ("2026-01-02", "2026-01-03")
    )
    assert len(calls) == 2
    assert first.tables == later.tables
    values = [[row["value"] for row in found.metrics] for found in (first, later)]
    assert values[0] == values[1]
