"""What a flow returns: its summary, whose rows Prefect does not search."""

from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

from prefect.states import Completed

from nerbench.tasks.comparison.gate import undecided
from nerbench.tasks.scoring.metrics import Row


class Rows(Sequence[Row]):
    """Rows, equal to a list of the same rows.

    In lists and mappings that a flow returns, Prefect looks for futures, value by value: that takes as long as scoring.
    """

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return self._rows == (other._rows if isinstance(other, Rows) else other)

    __hash__ = None  # type: ignore[assignment]


def returned(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary as a flow returns it: where the gate is undecided, in a state that says so and holds the summary.

    Whoever calls the flow gets the summary in both cases.
    """
    kept = summary | {"metrics": Rows(summary["metrics"])}
    if named := undecided(summary["gate"]):
        return cast(dict[str, Any], Completed(message=f"undecided: {named}", data=kept))
    return kept
