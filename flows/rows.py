"""The return value of a flow: its summary, with rows that Prefect does not search for futures."""

from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

from prefect.states import Completed

from nerbench.tasks.comparison.gate import undecided
from nerbench.tasks.scoring.metrics import Row


class Rows(Sequence[Row]):
    """A sequence of rows that equals a list of the same rows.

    Prefect searches every value of returned lists and mappings for futures, which takes as long as scoring.
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
    """The summary that a flow returns; if the gate is undecided, wrapped in a state with this message.

    The caller of the flow gets the summary in both cases.
    """
    kept = summary | {"metrics": Rows(summary["metrics"])}
    if named := undecided(summary["gate"]):
        return cast(dict[str, Any], Completed(message=f"undecided: {named}", data=kept))
    return kept
