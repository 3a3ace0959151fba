"""References to stored predictions: their identity and location."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from scored_runs import score

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key, stored

GOLD = [["B-PER", "O"], ["O"]]


def one(folder: Path) -> Predicted:
    return score(str(folder), 1, GOLD, [["O", "O"], ["O"]])


def test_the_predictions_behind_a_row_are_found(tmp_path: Path) -> None:
    predicted = one(tmp_path)
    (row,) = read_results(str(tmp_path), "metrics").to_pylist()
    assert stored(str(tmp_path), row) == predicted


def test_missing_predictions_are_reported(tmp_path: Path) -> None:
    Path(one(tmp_path).uri).unlink()
    (row,) = read_results(str(tmp_path), "metrics").to_pylist()
    with pytest.raises(
        InputError, match=r"predictions of tagger on own \(own\) are gone; run `nerbench benchmark tagg"
    ):
        stored(str(tmp_path), row)


def test_the_identity_begins_the_rows_of_every_table(tmp_path: Path) -> None:
    predicted = one(tmp_path)
    rows = read_results(str(tmp_path), "predictions").to_pylist()
    assert len(rows) == 3
    assert all(predicted.identity.items() <= row.items() for row in rows)


def test_a_key_depends_on_model_words_gold_and_tags(tmp_path: Path) -> None:
    known = one(tmp_path).model_dump()
    key = predictions_key(known)
    for name in ("artifact_id", "words_sha256", "gold_sha256", "predictions_digest"):
        assert predictions_key(known | {name: "0" * 64}) != key
    for name in ("model", "dataset", "gold", "split", "dtype", "uri"):
        assert predictions_key(known | {name: "other"}) == key


def test_an_identity_is_complete_and_immutable(tmp_path: Path) -> None:
    predicted = one(tmp_path)
    with pytest.raises(ValidationError):
        predicted.gold = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="dtype"):
        Predicted.model_validate(predicted.model_dump(exclude={"dtype"}))
