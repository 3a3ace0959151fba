"""A history as small trends beside the key numbers, and as plain values for the chart."""

from typing import Any, NamedTuple

from nerbench.tasks.report.history import History, Point

SHOWN = 30
"""Points of a small trend."""
WIDTH, HEIGHT, EDGE = 96.0, 24.0, 3.0
FLAT = 0.005
"""Half a point: the least height that a trend is drawn over, so that noise does not look like mountains."""


class Trend(NamedTuple):
    """A line of at most SHOWN scores, ready for SVG."""

    points: str
    """Of a polyline, in a box of WIDTH × HEIGHT."""
    x: float
    """Of its last point."""
    y: float
    words: str
    """`from 91.2 to 93.0 in 12 runs`."""


def trends(history: History) -> dict[tuple[str, ...], Trend]:
    """By model, dataset, split, gold and dtype; nothing of what has one point."""
    return {
        tuple(one.about.values()): _trend([point.value for point in one.points[-SHOWN:]], one.total)
        for one in history.series
        if len(one.points) > 1
    }


def _trend(values: list[float], total: int) -> Trend:
    middle, span = (max(values) + min(values)) / 2, max(FLAT, max(values) - min(values))
    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    points = [
        (round(EDGE + at * step, 1), round(HEIGHT / 2 - (HEIGHT - 2 * EDGE) * (value - middle) / span, 1))
        for at, value in enumerate(values)
    ]
    runs = f"{len(values)} runs" if total <= len(values) else f"the last {len(values)} of {total:,} runs"
    words = f"from {100 * values[0]:.1f} to {100 * values[-1]:.1f} in {runs}"
    return Trend(" ".join(f"{x},{y}" for x, y in points), *points[-1], words)


def plain_history(history: History) -> dict[str, Any]:
    """Columns of each series, times in seconds since 1970 and scores in points."""
    runs: dict[str, int] = {}
    series = [
        one.about
        | _columns(one.points)
        | {"run": [runs.setdefault(point.run_id, len(runs)) for point in one.points], "total": one.total}
        for one in history.series
    ]
    return {"series": series, "runs": list(runs), "dates": history.dates, "cut": history.is_cut}


def _columns(points: list[Point]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "t": [int(point.started_at.timestamp()) for point in points],
        "v": [_points(point.value) for point in points],
        "lo": [_points(point.ci_low) for point in points],
        "hi": [_points(point.ci_high) for point in points],
        "base": [_points(point.base) for point in points],
        "margin": [_points(point.margin) for point in points],
        "failed": [int(point.failed) for point in points],
        "p50": [None if point.p50_s is None else round(1e3 * point.p50_s, 3) for point in points],
    }
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 3)
