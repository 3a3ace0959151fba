"""The suspect annotations of everything that a report shows."""

from collections.abc import Iterable
from typing import NamedTuple

from nerbench.tasks.report.model_scores import ModelScores
from nerbench.tasks.results.suspect_rows import PROBABLE, newest_suspects
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.suspects.wording import Wording, in_words

MOST = 100
"""Maximum number of suspects of one annotation in a page."""


class Line(NamedTuple):
    """One suspect."""

    score: float
    sentence: int
    before: str | None
    """The words of the sentence before the region; None if the words may not be shown."""
    text: str | None
    after: str | None
    words: Wording


class Ranked(NamedTuple):
    """The newest ranking of one annotation."""

    place: str
    """The data set, with the annotation if it is not the data set's own."""
    models: list[str]
    total: int
    probable: int
    """Suspects that are more likely wrong than right."""
    rows: list[Line]


def ranked(results: str, entries: Iterable[ModelScores], *, text: bool) -> list[Ranked]:
    """The newest ranking of each annotation that has one."""
    annotations = {
        (entry.about["words_sha256"], entry.about["gold_sha256"]): entry.place
        for entry in entries
        if entry.about["words_sha256"] and entry.about["gold_sha256"]
    }
    found = []
    for digests, place in annotations.items():
        if rows := newest_suspects(results, *digests):
            probable = sum(row["score"] >= PROBABLE for row in rows)
            lines = [_line(row, text=text) for row in rows[:MOST]]
            found.append(Ranked(place, rows[0]["models"], len(rows), probable, lines))
    return found


def _line(row: Row, *, text: bool) -> Line:
    row = row if text else row | {"text": None, "sentence_text": None}
    words = (row["sentence_text"] or "").split(" ")
    known = row["text"] is not None and " ".join(words[row["start"] : row["end"]]) == row["text"]
    parts = (words[: row["start"]], words[row["start"] : row["end"]], words[row["end"] :])
    before, inside, after = (" ".join(part) if known else None for part in parts)
    return Line(row["score"], row["sentence"], before, inside, after, in_words(row))
