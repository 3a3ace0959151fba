"""Verdicts on numbers that are decided about together: the rules of a gate for one model, or those of `compare`."""

from collections.abc import Sequence

import numpy as np

from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.statistics.paired import holm
from nerbench.tasks.statistics.verdicts import Difference, verdict


def decided(rows: Sequence[Row], confidence: float) -> list[Row]:
    """Rows with `p_adjusted` (by Holm's method over all that have a p-value) and `verdict`, unless they have one.

    Args:
        rows: with delta, ci_low, ci_high and p_value as of `deltas.deltas`, margin, and verdict (None: to be found).
    """
    p = holm([np.nan if row["p_value"] is None else row["p_value"] for row in rows])
    return [_decided(row, float(adjusted), confidence) for row, adjusted in zip(rows, p, strict=True)]


def _decided(row: Row, p: float, confidence: float) -> Row:
    adjusted = row | {"p_adjusted": None if np.isnan(p) else p}
    if row["verdict"] is not None:
        return adjusted
    if row["delta"] is None:
        return adjusted | {"verdict": "undecided"}
    found = Difference(row["delta"], row["ci_low"], row["ci_high"], p)
    return adjusted | {"verdict": verdict(found, margin=row["margin"], confidence=confidence)}
