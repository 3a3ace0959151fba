"""The suspect annotations in a report."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from reading import Page
from report_site import EVIL, corpus, digest

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.report.data_frames import Results
from nerbench.tasks.report.model_scores import read_model_scores
from nerbench.tasks.report.report import build
from nerbench.tasks.report.suspect_list import MOST, ranked
from nerbench.tasks.results.query import newest_suspects, select_runs
from nerbench.tasks.suspects.wording import in_words, words_of


def row(position: int, hour: int, **changes: Any) -> dict[str, Any]:
    words, tags = corpus()
    sentence = position % len(words)
    shared = {"ranking": "1", "words_sha256": digest(words), "gold_sha256": digest(tags), "dataset": "own"}
    shared |= {"gold": "own", "split": "test", "started_at": datetime(2030, 1, 2, hour, tzinfo=UTC)}
    place = {"position": position, "kind": "type", "score": 3.0 - position, "sentence": sentence}
    text = {"start": 1, "end": 2, "text": words[sentence][1], "sentence_text": " ".join(words[sentence])}
    sides = {f"{side}_{name}": [value] for side, label in (("gold", "LOC"), ("proposed", "ORG"))
             for name, value in (("start", 1), ("end", 2), ("label", label))}  # fmt: skip
    opinions = {"models": ["good"], "seeds": [None], "opinions": ["proposal"], "confidences": [0.75]}
    counts = {f"{scope}_{side}": 0 for scope in ("document", "split", "train") for side in ("gold", "proposed")}
    return shared | place | text | sides | opinions | counts | changes


@pytest.fixture
def results(nights: str, tmp_path: Path) -> str:
    """Results with two rankings of one day; the later one counts."""
    shutil.copytree(nights, tmp_path / "results")
    older = [row(n, 1, models=["older"]) for n in range(1, 4)]
    newer = [row(n, 2) for n in range(1, MOST + 11)]
    for key, rows in (("a" * 32, older), ("b" * 32, newer)):
        write_table(str(tmp_path / "results"), "suspects", rows, date="2030-01-02", key=key)
    return str(tmp_path / "results")


def test_the_newest_ranking_of_each_annotation(results: str, nights: str) -> None:
    entries = read_model_scores(results, select_runs(results))
    (found,) = ranked(results, entries, text=True)
    assert (found.place, found.models, found.total, found.probable) == ("own", ["good"], MOST + 10, 3)
    assert len(found.rows) == MOST
    assert [line.score for line in found.rows[:3]] == [2.0, 1.0, 0.0]
    assert (found.rows[0].words.gold, found.rows[0].words.proposed) == ("LOC", "ORG")
    assert found.rows[0].words.evidence == "the only model predicts it: good 0.75"
    assert ranked(nights, entries, text=True) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"proposed_end": []},
        {"proposed_label": [None]},
        {"gold_start": [-1]},
        {"gold_end": [1]},
        {"start": 2},
        {"seeds": []},
        {"models": None},
        {"score": None},
    ],
    ids=str,
)
def test_a_suspect_with_impossible_values_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    one = row(1, 1, **changes)
    write_table(str(tmp_path), "suspects", [one], date="2030-01-02", key="a" * 32)
    with pytest.raises(CorruptArtifactError, match=r"suspect 1 of own .* do not fit together; rank again"):
        newest_suspects(str(tmp_path), one["words_sha256"], one["gold_sha256"])


def test_a_data_frame_has_the_suspects_of_the_scored_annotations(results: str) -> None:
    other = [row(1, 3, gold_sha256="0" * 64)]
    write_table(results, "suspects", other, date="2030-01-02", key="c" * 32)
    assert len(Results(results).to_pandas("suspects")) == MOST + 10 + 3


def test_words_with_blanks_are_not_split() -> None:
    words = {"start": 0, "end": 1, "text": "New York", "sentence_text": "New York is far"}
    proposed = {"proposed_start": [1], "proposed_end": [2]}
    assert words_of(row(1, 3, **words)) is None
    assert in_words(row(1, 3, **words, **proposed)).proposed == "ORG 1:2"


def test_words_stay_out_if_they_may_not_be_shown(results: str) -> None:
    entries = read_model_scores(results, select_runs(results))
    (found,) = ranked(results, entries, text=False)
    assert {(line.before, line.text, line.after) for line in found.rows} == {(None, None, None)}


def test_the_page_has_a_section(results: str, nights: str) -> None:
    html = build(results).html
    page = Page(html)
    assert "Suspect annotations" in page.said
    assert "The page shows the first 100; the table suspects contains all." in page.said
    assert any(evil in page.said for evil in EVIL)
    assert "alert(1)" not in html.replace("&lt;script&gt;alert(1)", "").replace("onerror=alert(1)", "")
    assert "suspects-title" not in build(nights).html
