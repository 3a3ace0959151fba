"""The stored suspects of an annotation, as comparisons, reports and exports read them."""

from nerbench.artifacts.tables.tables import Filter, read_newest_first
from nerbench.tasks.scoring.metrics import Row

PROBABLE = 0.0
"""The score from which an annotation is more likely wrong than right."""


def newest_suspects(results: str, words_sha256: str, gold_sha256: str) -> list[Row]:
    """The rows of the newest ranking of an annotation, the most suspect first; empty if there is none."""
    wanted: list[Filter] = [("words_sha256", "=", words_sha256), ("gold_sha256", "=", gold_sha256)]
    found = next(read_newest_first(results, "suspects", filters=wanted), None)
    rows = found.rows.to_pylist() if found else []
    newest = max((row["started_at"] for row in rows), default=None)
    return sorted((row for row in rows if row["started_at"] == newest), key=lambda row: row["position"])
