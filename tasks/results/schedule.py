"""When runs were to be expected: which deployment a run belongs to, and the nights that it lacks."""

from collections.abc import Sequence
from datetime import date as calendar_date
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

MOST_SINCE = 30
"""Nights since the last run that are told: what did not run for longer was given up."""


def missing_nights(dates: Sequence[str], until: str | None = None) -> list[str]:
    """The days on which something that ran on `dates` (YYYY-MM-DD, sorted) did not, though it was to be expected.

    It is expected every so many days as the median of its gaps, the lesser of two; of less than two gaps nobody knows.
    With `until`, also after the last of them and before that day, MOST_SINCE times.
    """
    days = [calendar_date.fromisoformat(date) for date in dates]
    gaps = [(after - before).days for before, after in pairwise(days) if after > before]
    if len(gaps) < 2:
        return []
    step = median_low(gaps)
    spans = [(before, -(-(after - before).days // step)) for before, after in pairwise(days)]
    if until:
        since = (calendar_date.fromisoformat(until) - days[-1]).days
        spans.append((days[-1], min(-(-since // step), MOST_SINCE + 1)))
    expected = (start + timedelta(days=number * step) for start, end in spans for number in range(1, end))
    return [day.isoformat() for day in expected]


def deployment_of(run_id: str) -> str | None:
    """`benchmark-nightly` of `benchmark-nightly@2026-01-31T02:00:00.000000+00:00`; None of a run by hand."""
    name, at, moment = run_id.rpartition("@")
    if not at:
        return None
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return None
    return name
