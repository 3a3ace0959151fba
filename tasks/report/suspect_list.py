"""The suspect annotations of everything that a report shows."""

from collections.abc import Iterable
from typing import NamedTuple

from nerbench.tasks.report.model_scores import ModelScores
from nerbench.tasks.results.query import PROBABLE, newest_suspects
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.suspects.wording import Wording, in_words, words_of

MOST = 100
"""Maximum number of suspects of one annotation in a page."""


class Line(NamedTuple):
    """One suspect."""

    score: float
    sentence: int
    before: str | None
    """The words of the sentence before the region; None if the words are unknown or may not be shown."""
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
    words, start, end = words_of(row), row["start"], row["end"]
    parts = (slice(start), slice(start, end), slice(end, None))
    before, inside, after = (None if words is None else " ".join(words[part]) for part in parts)
    return Line(row["score"], row["sentence"], before, inside, after, in_words(row))
