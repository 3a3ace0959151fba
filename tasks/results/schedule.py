"""When runs were to be expected: which deployment a run belongs to, and the nights that it lacks."""

from collections.abc import Sequence
from datetime import date as calendar_date
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low


def missing_nights(dates: Sequence[str]) -> list[str]:
    """The days on which something that ran on `dates` (YYYY-MM-DD, sorted) did not, though it was to be expected.

    It is expected every so many days as the median of its gaps, the lesser of two; of less than two gaps nobody knows.
    """
    days = [calendar_date.fromisoformat(date) for date in dates]
    gaps = [(after - before).days for before, after in pairwise(days) if after > before]
    if len(gaps) < 2:
        return []
    step = median_low(gaps)
    expected = (
        before + timedelta(days=number * step)
        for before, after in pairwise(days)
        for number in range(1, -(-(after - before).days // step))
    )
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
