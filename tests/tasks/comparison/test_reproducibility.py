"""Changed predictions of an unchanged model are found at any F1, and only with the same settings."""

from pathlib import Path
from typing import Any

import pytest
from scored_runs import score, write_run
from tagging import Sentences

from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.comparison import reproducibility
from nerbench.tasks.comparison.reproducibility import changed
from nerbench.tasks.config import Config
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.stored_predictions import Predicted

GOLD = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"], ["B-ORG", "O", "B-ORG"]]
BEFORE = [["B-PER", "I-PER", "O"], ["O", "O", "O"], ["B-ORG", "O", "O"]]
NOW = [["B-PER", "O", "O"], ["O", "B-LOC", "O"], ["B-ORG", "B-ORG", "O"]]
"""One lost, one gained and one spurious entity: the number of correct ones is the same."""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproducibility, "environment", lambda: {"torch": "2.14", "cpu": "fast"})


def scored(results: Path, night: int, predicted: Sentences = BEFORE, **more: Any) -> Predicted:
    return score(str(results), night, GOLD, predicted, **{"torch": "2.13", "cpu": "fast"} | more)


def tonight(results: Path, *now: Predicted, benchmark: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    run = Run(run_id="night-9", flow="f", date="2030-01-09", started_at=utc_now(), attempt=1, results=str(results))
    return changed(run, Config.model_validate({"benchmark": benchmark or {}}), now)


def test_a_change_is_reported_with_flips_and_environments(tmp_path: Path) -> None:
    before = scored(tmp_path, 1)
    now = scored(tmp_path, 9, NOW)
    (row,) = tonight(tmp_path, now)
    assert row == {
        "kind": "frozen",
        "model": "tagger",
        "artifact_id": now.artifact_id,
        "baseline_artifact_id": before.artifact_id,
        "dataset": "own",
        "split": "test",
        "gold": "own",
        "verdict": "regression",
        "failed": True,
        "gained": 1,
        "lost": 1,
        "changed": 1,
        "reason": "the same model and settings predict differently than in the run night-1: "
        "entities 1 gained, 1 lost, 1 changed; torch 2.13 then, 2.14 now",
    }


def test_equal_predictions_are_not_reported(tmp_path: Path) -> None:
    scored(tmp_path, 1)
    assert tonight(tmp_path, scored(tmp_path, 9)) == []


def test_without_an_earlier_run_there_is_no_row(tmp_path: Path) -> None:
    assert tonight(tmp_path, scored(tmp_path, 9)) == []


@pytest.mark.parametrize(
    "earlier",
    [
        {"version": 2},
        {"dataset": "other"},
        {"benchmark": {"max_length": 64}},
        {"benchmark": {"aggregation_strategy": "average"}},
        {"run": False},
    ],
)
def test_runs_with_other_settings_are_not_compared(tmp_path: Path, earlier: dict[str, Any]) -> None:
    scored(tmp_path, 1, **earlier)
    assert tonight(tmp_path, scored(tmp_path, 9, NOW)) == []


def test_runs_on_other_words_or_golds_are_not_compared(tmp_path: Path) -> None:
    score(str(tmp_path), 1, [*GOLD, ["O"]], [*BEFORE, ["O"]])
    score(str(tmp_path), 2, BEFORE, BEFORE)
    assert tonight(tmp_path, scored(tmp_path, 9, NOW)) == []


def test_the_newest_run_with_these_settings_counts(tmp_path: Path) -> None:
    scored(tmp_path, 1)
    scored(tmp_path, 2, NOW)
    scored(tmp_path, 3, BEFORE, benchmark={"max_length": 64})
    scored(tmp_path, 4, BEFORE, run=False)
    now = scored(tmp_path, 9, NOW)
    assert tonight(tmp_path, now) == []
    (row,) = tonight(tmp_path, now, benchmark={"max_length": 64})
    assert "in the run night-3" in row["reason"]


def test_the_last_run_of_a_date_counts(tmp_path: Path) -> None:
    for hour, predicted in ((20, BEFORE), (3, NOW), (7, NOW)):
        scored(tmp_path, 1, predicted, hour=hour)
    (row,) = tonight(tmp_path, scored(tmp_path, 9, NOW))
    assert "in the run night-1-20" in row["reason"]


def test_a_copy_under_another_name_is_the_same_model(tmp_path: Path) -> None:
    before = scored(tmp_path, 1, model="copy")
    (row,) = tonight(tmp_path, scored(tmp_path, 9, NOW))
    assert (row["model"], row["baseline_artifact_id"]) == ("tagger", before.artifact_id)


def test_each_model_has_its_row(tmp_path: Path) -> None:
    for version in (1, 2):
        scored(tmp_path, version, version=version)
    now = [scored(tmp_path, 9, NOW, version=version) for version in (1, 2)]
    assert [row["artifact_id"] for row in tonight(tmp_path, *now)] == [one.artifact_id for one in now]


def test_changed_tags_outside_of_entities_are_a_change(tmp_path: Path) -> None:
    scored(tmp_path, 1)
    invalid = [*BEFORE[:1], ["I-LOC", "O", "O"], *BEFORE[2:]]
    (row,) = tonight(tmp_path, scored(tmp_path, 9, invalid))
    assert (row["failed"], row["gained"], row["lost"], row["changed"]) == (True, 0, 0, 0)


def test_missing_predictions_are_still_a_change(tmp_path: Path) -> None:
    Path(scored(tmp_path, 1).uri).unlink()
    (row,) = tonight(tmp_path, scored(tmp_path, 9, NOW))
    assert row["failed"]
    assert "gained" not in row
    assert "whose earlier predictions are gone" in row["reason"]
    Path(scored(tmp_path, 2, NOW).uri).unlink()
    assert tonight(tmp_path, scored(tmp_path, 9, NOW)) == []


def test_the_row_fits_its_table(tmp_path: Path) -> None:
    scored(tmp_path, 1)
    (row,) = tonight(tmp_path, scored(tmp_path, 9, NOW))
    of_run = {"run_id": "night-9", "started_at": utc_now(), "attempt": 1}
    write_table(str(tmp_path), "gate", [of_run | row], date="2030-01-09", key="one")


def test_the_environment_is_that_of_the_last_attempt(tmp_path: Path) -> None:
    scored(tmp_path, 1, run=False)
    write_run(str(tmp_path), 1, {}, torch="2.12", attempt=1)
    write_run(str(tmp_path), 1, {}, torch="2.14", attempt=2)
    (row,) = tonight(tmp_path, scored(tmp_path, 9, NOW))
    assert "torch" not in row["reason"]


def test_an_unpinned_tagger_has_the_share_of_equal_entities(tmp_path: Path) -> None:
    """Both runs have the first `ORG`; one also has a `PER`, the other a `PER`, a `LOC` and a second `ORG`."""
    scored(tmp_path, 1)
    now = scored(tmp_path, 9, NOW).model_copy(update={"pinned": False})
    (row,) = tonight(tmp_path, now)
    assert (row["kind"], row["verdict"], row["failed"], row["unit"]) == ("repeatability", "pass", False, "share")
    assert row["candidate"] == 1 / 5
    assert row["reason"] == "20.0% of the entities agree with the run night-1; the tagger is not pinned"


def test_an_unpinned_tagger_with_equal_predictions(tmp_path: Path) -> None:
    scored(tmp_path, 1)
    (row,) = tonight(tmp_path, scored(tmp_path, 9).model_copy(update={"pinned": False}))
    assert row["candidate"] == 1.0
