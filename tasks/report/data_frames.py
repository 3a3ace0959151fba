"""The results of runs in Python: data frames, the key numbers, a plot, and a table where a notebook shows the value."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.schemas import TABLES, schema
from nerbench.artifacts.tables.tables import Filter, read_newest_first, read_results
from nerbench.tasks.report.leaderboard import Leaderboard, LeaderboardRow
from nerbench.tasks.report.page import render_key_numbers
from nerbench.tasks.report.report import find
from nerbench.tasks.results.query import SelectedRun, select_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

_DIGESTS = ("words_sha256", "gold_sha256", "predictions_digest")
"""Columns by which rows without a run belong to scores."""


class Results:
    """The results of some complete runs. A notebook shows the first table of their report.

    >>> import nerbench
    >>> results = nerbench.results()
    >>> [run.row["outcome"] for run in results.runs]
    ['ok']
    """

    def __init__(self, url: str, runs: Sequence[str] = ()) -> None:
        """Find runs by id or date; by default, the newest complete one. Raises InputError if there is no such run."""
        self.url = url
        self.runs: list[SelectedRun] = select_runs(url, runs)

    def to_pandas(self, table: str = "metrics") -> "DataFrame":
        """The rows of these runs in a table.

        A table without runs gives the rows about the predictions that these runs scored; `suspects` gives those about
        the annotations.

        Raises InputError for an unknown table, and CorruptArtifactError for a damaged file.

        >>> import nerbench
        >>> metrics = nerbench.results().to_pandas("metrics")
        >>> metrics.query("level == 'entity' and metric == 'f1'")["mode"].unique().tolist()
        ['strict', 'conlleval', 'exact', 'partial', 'type']
        """
        if table in TABLES and "run_id" not in schema(table).names:
            names = [name for name in _DIGESTS if name in schema(table).names]
            scored = self.to_pandas()[names].dropna()
            filters: list[Filter] = [(name, "in", scored[name].unique().tolist()) for name in names]
            return read_results(self.url, table, filters=filters).to_pandas()
        rows = [dated.rows for run in self.runs for dated in self._rows_of(run, table)]
        return (pa.concat_tables(rows) if rows else read_results(self.url, table)[:0]).to_pandas()

    def headline(self) -> "DataFrame":
        """One row per model and data set, the best first: strict entity scores in points, latency and memory.

        `ci_low` and `ci_high` are the ends of the interval of F1, and `change` is its difference from the baseline of
        the report, all in points.

        >>> import nerbench
        >>> nerbench.results().headline().columns.tolist()[:6]
        ['model', 'dataset', 'split', 'F1', 'ci_low', 'ci_high']
        """
        from pandas import DataFrame

        return DataFrame([_headline(row) for row in self._of_models])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Plot F1 with its interval for each model; returns the matplotlib axes, to restyle or to save.

        Raises InputError if matplotlib is not installed.

        >>> import nerbench
        >>> nerbench.results().plot().get_xlabel()
        'strict entity F1 in points'
        """
        try:
            from matplotlib import pyplot
        except ImportError:
            raise InputError("plot", "needs matplotlib", "pip install matplotlib") from None
        ax = ax or pyplot.subplots(layout="constrained", figsize=(6, 1 + 0.4 * len(self._of_models)))[1]
        for at, row in enumerate(reversed(self._of_models)):
            f1 = row.scores["F1"]
            known = [[f1.value - f1.low], [f1.high - f1.value]] if f1.low is not None and f1.high is not None else None
            ax.errorbar([f1.value], [at], xerr=known, fmt="o", capsize=3, color="C0")
        several = len({row.place for row in self._of_models}) > 1
        names = [f"{row.model} on {row.place}" if several else row.model for row in reversed(self._of_models)]
        ax.set_yticks(range(len(names)), names)
        ax.margins(y=0.5 / max(1, len(names)))
        ax.set_xlabel("strict entity F1 in points")
        return ax

    def __repr__(self) -> str:
        """The runs, without their numbers."""
        return f"Results({self.url!r}, {[run.run_id for run in self.runs]})"

    def _repr_html_(self) -> str:
        return render_key_numbers(self._board)

    @cached_property
    def _board(self) -> Leaderboard:
        return find(self.url, self.runs).board

    @property
    def _of_models(self) -> list[LeaderboardRow]:
        """The rows with a score against the data set's own annotation, the best first."""
        found = [row for row in self._board.rows if row.dataset == row.gold and "F1" in row.scores]
        return sorted(found, key=lambda row: (row.dataset, -row.scores["F1"].value))

    def _rows_of(self, run: SelectedRun, table: str) -> Any:
        named: list[Filter] = [("run_id", "=", run.run_id)]
        return read_newest_first(self.url, table, filters=named, date=run.date)


def _headline(row: LeaderboardRow) -> dict[str, Any]:
    f1, cost = row.scores["F1"], row.cost or {}
    others = {name: number.value for name, number in row.scores.items() if name != "F1"}
    return {
        **{name: getattr(row, name) for name in ("model", "dataset", "split")},
        **{"F1": f1.value, "ci_low": f1.low, "ci_high": f1.high},
        "change": row.difference and row.difference.points,
        **others,
        "p50_ms": cost.get("p50_s") and 1e3 * cost["p50_s"],
        "words_per_s": cost.get("words_per_s"),
        "memory_mb": cost.get("peak_bytes") and cost["peak_bytes"] / 1e6,
        "artifact": row.artifact,
    }
