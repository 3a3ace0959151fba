"""The summary of a report on a run's page in Prefect, with a link to the report."""

import re
from typing import NamedTuple

from nerbench.tasks.config import Config
from nerbench.tasks.inspection.inspection import inspect
from nerbench.tasks.inspection.notes import sections
from nerbench.tasks.report.formats import NOTHING, count, interval, megabytes, milliseconds, points, signed
from nerbench.tasks.report.leaderboard import Difference, LeaderboardRow, Number
from nerbench.tasks.report.report import Report, write_report
from nerbench.tasks.run_identity import Run

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


class Announcement(NamedTuple):
    """A written report."""

    uri: str
    link: str
    """The same as a URL."""
    markdown: str
    """Verdict, key numbers and link as Markdown."""


def publish(run: Run, config: Config) -> Announcement:
    """Write the report on a run and its data beside its tables, and summarise it. Raises like `report.build`."""
    uri, report = write_report(run, sections(inspect(config)))
    link = uri if "://" in uri else f"file://{uri}"
    return Announcement(uri, link, markdown(report, link))


def markdown(report: Report, link: str) -> str:
    """The verdict as text, the table of the first screen, and the link, with every name escaped."""
    lines = [f"- **{_text(one.model)}**{_on(one.place)}: {_text(one.text)}" for one in report.verdict.lines]
    heading = "| model | on | F1 | since baseline | latency, ms | words/s | memory, MB |"
    rows = [heading, "| --- | --- | ---: | ---: | ---: | ---: | ---: |", *map(_row, report.board.first)]
    parts = [
        f"**{_text(report.verdict.headline)}**",
        "\n".join(lines),
        "\n".join(rows),
        f"[The whole report](<{link}>)",
    ]
    return "\n\n".join(part for part in parts if part)


def _row(row: LeaderboardRow) -> str:
    cost = row.cost or {}
    cells = (
        _text(row.model),
        _text(row.place),
        _score(row.scores.get("F1")),
        _difference(row.difference),
        milliseconds(cost.get("p50_s")),
        count(cost.get("words_per_s")),
        megabytes(cost.get("peak_bytes")),
    )
    return f"| {' | '.join(cells)} |"


def _score(number: Number | None) -> str:
    return NOTHING if number is None else f"{points(number.value, 2)} {interval(number)}".strip()


def _difference(one: Difference | None) -> str:
    return NOTHING if one is None else signed(one.points)


def _on(place: str) -> str:
    return f" on {_text(place)}" if place else ""


def _text(text: str) -> str:
    """Text escaped for Markdown, on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
