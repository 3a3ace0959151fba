"""The verdict of a report as text: the gate's decision on each model, or the changes since the previous run."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import shorten
from typing import Any, Literal, NamedTuple

from nerbench.tasks.comparison.flips import KINDS
from nerbench.tasks.comparison.quality_gate import MISSING, UNDECIDED
from nerbench.tasks.report.baselines import Compared
from nerbench.tasks.report.model_scores import ModelScores
from nerbench.tasks.results.query import SelectedRun, place_of, score_in_words
from nerbench.tasks.results.redaction import recorded_configuration, without_folders
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row

Status = Literal["good", "bad", "unsure", "same", "none"]
_STATUS: dict[str, Status] = {
    "regression": "bad",
    UNDECIDED: "unsure",
    "improvement": "good",
    "pass": "same",
}
_MOST, _LONGEST = 3, 200
"""Number of failures that the headline names, and characters of each reason."""
_WORST_FIRST: tuple[Status, ...] = ("bad", "unsure", "good", "same", "none")


class Line(NamedTuple):
    """The verdict on one model, on one data set and annotation."""

    model: str
    place: str
    status: Status
    text: str


class Verdict(NamedTuple):
    """The verdict at the top of a report."""

    status: Status
    headline: str
    lines: list[Line]
    """The worst first."""

    @property
    def sentence(self) -> str:
        """The whole verdict in one line."""
        return f"{self.headline} {'; '.join(f'{line.model}: {line.text}' for line in self.lines)}".strip()


def find_verdict(
    entries: Sequence[ModelScores],
    compared: Mapping[int, Compared],
    judged: Sequence[Row],
    runs: Sequence[SelectedRun],
    *,
    has_gate: bool,
) -> Verdict:
    """The verdict on some entries. `compared` is by position of the entry; `judged` are the rows of `gate` of the
    runs."""
    lines = _gate_lines(judged) if judged else []
    gated = {row[name] for row in judged if row["kind"] == "rule" for name in ("artifact_id", "baseline_artifact_id")}
    lines += [
        _compared_line(entry, compared[at])
        for at, entry in enumerate(entries)
        if at in compared and entry.is_own_gold and entry.about["artifact_id"] not in gated
    ]
    if lines:
        first = [entry for at, entry in enumerate(entries) if at not in compared and _is_new(entry, gated)]
        lines += [Line(entry.name, entry.place, "none", f"nothing to compare with, {_score(entry)}") for entry in first]
    else:
        lines = _best_lines(entries)
    lines.sort(key=lambda line: _WORST_FIRST.index(line.status))
    headline = _gate_headline(judged, lines) if judged else _headline(lines, entries, has_gate=has_gate)
    if failed := [run.run_id for run in runs if run.row.get("outcome") == "failed"]:
        if named := _failures(runs, entries):
            headline = f"{named} {headline}"
        else:
            headline += " The run failed." if len(runs) == 1 else f" {len(failed)} of the {len(runs)} runs failed."
    worst: Status = lines[0].status if lines else "none"
    return Verdict("bad" if failed else worst, headline, lines)


def in_words(row: Row) -> str:
    """A compared number as text: `ORG recall fell 1.9 points (95 % CI 0.8…3.1)`, with the interval of the change.

    The blanks in the interval are non-breaking.
    """
    metric = row["metric"].replace("f1", "F1")
    name = metric if row["label"] == OVERALL else f"{row['label']} {metric}"
    if row["slice"] != "all":
        name += f" on {row['slice']} entities"
    if row["mode"] != "strict":
        name += f" ({row['mode']})"
    if row["delta"] is None:
        return f"{name}: {row['reason'] or 'there is no number'}"
    points = 100 * row["delta"]
    if not points:
        return f"{name} did not move"
    sign = -1 if points < 0 else 1
    moved = f"{name} {'fell' if sign < 0 else 'rose'} {abs(points):.1f} points"
    if row["ci_low"] is None:
        return moved
    low, high = sorted((sign * 100 * row["ci_low"], sign * 100 * row["ci_high"]))
    return f"{moved} ({100 * row['confidence']:.0f}\u00a0%\u00a0CI {_signed(low)}…{_signed(high)})"


def entities(gained: int | None, lost: int | None, changed: int | None) -> str:
    """`41 entities lost, 8 gained, 15 predicted otherwise`; empty if there are none."""
    named = [(lost, "lost"), (gained, "gained"), (changed, "predicted otherwise")]
    nonzero = [(n, word) for n, word in named if n]
    words = [f"{n:,} {word}" for n, word in nonzero]
    if words:
        n, word = nonzero[0]
        words[0] = f"{n:,} {'entity' if n == 1 else 'entities'} {word}"
    return ", ".join(words)


def _signed(points: float) -> str:
    return f"{points:.1f}".replace("-", "−")


def _gate_lines(judged: Iterable[Row]) -> list[Line]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in judged:
        key = tuple(row.get(name) for name in ("kind", "run_id", "artifact_id", "dataset", "gold", "perturbation"))
        groups.setdefault(key, []).append(row)
    names: dict[str, set[str]] = {}
    for row in judged:
        names.setdefault(row["model"], set()).add(row["artifact_id"])
    texts = {
        "rule": _rules,
        "frozen": _frozen,
        "promotion": _promotion,
        "speed": _speed,
        "repeatability": _repeatability,
    }
    return [
        Line(_name(rows[0], names), place_of(rows[0]), *texts[kind](rows))
        for (kind, *_), rows in groups.items()
        if kind in texts
    ]


def _rules(rows: Sequence[Row]) -> tuple[Status, str]:
    for verdicts in ({"regression", MISSING}, {UNDECIDED}, {"improvement"}):
        found = sorted((row for row in rows if row["verdict"] in verdicts), key=lambda row: row["delta"] or 0)
        if found:
            status: Status = "bad" if any(row["failed"] for row in found) else _STATUS[found[0]["verdict"]]
            if all(row["verdict"] == MISSING for row in found):
                return status, f"no number: {found[0]['reason'] or 'it was not scored'}"
            listed = "; ".join(map(in_words, found))
            lead = "undecided: " if UNDECIDED in verdicts else ""
            return status, _with_entities(lead + listed, found[0])
    flipped = _with_entities("", rows[0])
    return "same", f"no change beyond the margin{flipped}" if flipped else "no change"


def _with_entities(text: str, row: Row) -> str:
    listed = entities(row["gained"], row["lost"], row["changed"])
    return f"{text}, {listed}" if listed else text


def _frozen(rows: Sequence[Row]) -> tuple[Status, str]:
    return "bad", rows[0]["reason"] or "unchanged, yet it predicts differently"


def _speed(rows: Sequence[Row]) -> tuple[Status, str]:
    return "bad" if rows[0]["failed"] else "same", rows[0]["reason"]


def _repeatability(rows: Sequence[Row]) -> tuple[Status, str]:
    return "same", rows[0]["reason"]


def _promotion(rows: Sequence[Row]) -> tuple[Status, str]:
    row = rows[0]
    return ("good", f"became {row['baseline']}") if row["promoted"] else ("same", f"did not become {row['baseline']}")


def _name(row: Row, names: Mapping[str, set[str]]) -> str:
    several = len(names[row["model"]]) > 1
    return f"{row['model']}@{row['artifact_id'][:8]}" if several else row["model"]


def _compared_line(entry: ModelScores, found: Compared) -> Line:
    since = f"since {_day(found)}"
    if found.problem:
        return Line(entry.name, entry.place, "unsure", f"what flipped {since} is not known: {found.problem}")
    flipped = entities(*map(found.flips.n, KINDS))
    if found.row is None or not flipped:
        return Line(entry.name, entry.place, "same", f"no change {since}")
    status = _STATUS.get(found.row["verdict"], "unsure")
    lead = "undecided: " if status == "unsure" else ""
    return Line(entry.name, entry.place, status, f"{lead}{in_words(found.row)} {since}, {flipped}")


def _is_new(entry: ModelScores, gated: set[str]) -> bool:
    is_a_model = entry.is_own_gold and not entry.is_mean
    return is_a_model and entry.number() is not None and entry.about["artifact_id"] not in gated


def _best_lines(entries: Sequence[ModelScores]) -> list[Line]:
    """If nothing can be compared: the best model on each data set, against the data set's own annotation."""
    groups: dict[str, list[ModelScores]] = {}
    for entry in entries:
        if entry.is_own_gold and entry.number() is not None:
            groups.setdefault(entry.place, []).append(entry)
    lead = {place: f"the best of {len(found)}, with " if len(found) > 1 else "" for place, found in groups.items()}
    return [Line(found[0].name, place, "none", lead[place] + _score(found[0])) for place, found in groups.items()]


def _score(entry: ModelScores) -> str:
    return score_in_words(entry.find() or {})


def _day(found: Compared) -> str:
    started = found.baseline.about.get("started_at")
    return f"the run of {started:%Y-%m-%d}" if started else "the run before"


def _gate_headline(judged: Sequence[Row], lines: Sequence[Line]) -> str:
    failed = list(dict.fromkeys(row["model"] for row in judged if row["failed"]))
    if failed:
        undecided = list(dict.fromkeys(row["model"] for row in judged if _is_undecided(row)))
        also = f" It is undecided about {_listed(undecided)}." if undecided else ""
        return f"The gate rejects {_listed(failed)}.{also}"
    unsure = list(dict.fromkeys(line.model for line in lines if line.status == "unsure"))
    if unsure:
        return f"The gate passes, but is undecided about {_listed(unsure)}."
    if any(line.status == "good" for line in lines):
        return "The gate passes, with an improvement."
    return "The gate passes: no model fell behind its baseline."


def _is_undecided(row: Row) -> bool:
    return bool(row["kind"] == "rule" and row["verdict"] == UNDECIDED)


def _headline(lines: Sequence[Line], entries: Sequence[ModelScores], *, has_gate: bool) -> str:
    lead = "The gate compared no model." if has_gate else "No gate is configured."
    if all(line.status == "none" for line in lines):
        return f"{_best(entries) or lead} There is no earlier run to compare with."
    moved = {line.model for line in lines if line.status not in {"same", "none"}}
    models = {line.model for line in lines if line.status != "none"}
    if not moved:
        return f"{lead} Nothing changed since the run before."
    named = "model" if len(models) == 1 else "models"
    return f"{lead} {len(moved)} of {len(models)} {named} changed since the run before."


def _best(entries: Sequence[ModelScores]) -> str:
    """`tiny has F1 84.2 on own, the best of 2 models.`, on the first data set; empty without scores."""
    scored = [entry for entry in entries if entry.is_own_gold and entry.number() is not None]
    if not scored:
        return ""
    best, others = scored[0], [entry for entry in scored if entry.place == scored[0].place]
    among = f", the best of {len(others)} models" if len(others) > 1 else ""
    return f"{best.name} has F1 {100 * (best.number() or 0.0):.1f} on {best.place}{among}."


def _failures(runs: Sequence[SelectedRun], entries: Sequence[ModelScores]) -> str:
    """`1 of 2 models failed: tiny: no room.`; empty if the runs did not record what failed.

    The gate's headline names what a gate rejects.
    """
    lines = [line for run in runs for line in (run.row.get("failures") or "").splitlines()]
    failed = {name: reason for name, _, reason in (line.partition(": ") for line in lines) if name[:5] != "gate,"}
    if not failed:
        return ""
    configured = {one.get("name") for run in runs for one in _configured_models(run)}
    scored = {entry.name for entry in entries if not entry.is_mean}
    count = f"{len(failed)} failed"
    if failed.keys() <= configured | scored:
        total = len(scored | failed.keys())
        count = f"{len(failed)} of {total} {'model' if total == 1 else 'models'} failed"
    shown = [f"{name}: {shorten(reason, _LONGEST, placeholder=' …')}" for name, reason in failed.items()]
    more = f"; and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
    return without_folders(f"{count}: {'; '.join(shown[:_MOST])}{more}").rstrip(".") + "."


def _configured_models(run: SelectedRun) -> Sequence[Mapping[str, Any]]:
    models = recorded_configuration(run.row.get("configuration")).get("models")
    return models or ()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown
