"""How often the gate raises a false alarm about two equally good models, and how often it cannot decide.

    pytest -m slow tests/tasks/statistics/test_verdict_rates.py

prints the table of `docs/explanation/scores.md`.
"""

from itertools import product

import pytest
from verdict_simulation import Cell, Rates, simulate

TABLE = [
    Cell(documents, entities, f1, correlation)
    for entities, documents, f1, correlation in product(
        (300, 3000), (1, 5, 19, 20, 50, 231), (0.6, 0.9), (0.0, 0.1, 0.3)
    )
]
SEVERAL = [
    Cell(documents, 300, 0.6, correlation, rules=4) for documents in (1, 5, 20, 50) for correlation in (0.0, 0.3)
]
SHARED = [
    Cell(documents, entities, 0.9, 0.1, shared=0.8)
    for documents, entities in ((1, 300), (1, 3000), (19, 300), (19, 3000), (50, 300), (50, 3000), (231, 5700))
]
NO_INTERVAL = [Cell(documents, 25, f1, 0.3) for documents in (1, 2, 5, 10, 25) for f1 in (0.6, 0.9)]


@pytest.mark.parametrize(
    "cell",
    [
        Cell(1, 300, 0.6, 0.3),
        Cell(5, 25, 0.6, 0.3),
        Cell(5, 300, 0.6, 0.0),
        Cell(19, 300, 0.6, 0.3),
        Cell(20, 300, 0.9, 0.3),
        Cell(20, 300, 0.6, 0.3, rules=4),
    ],
    ids=str,
)
def test_false_alarms_are_rare(cell: Cell) -> None:
    found = simulate(cell, 200)
    assert found.regression <= 0.05
    assert sum(found[:3]) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("cell", [*TABLE, *SEVERAL, *SHARED, *NO_INTERVAL], ids=str)
def test_false_alarms(cell: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    found = simulate(cell, 600)
    with capsys.disabled():
        print(f"\n{row(cell, found)}", end="")
    assert found.regression <= 0.05


def row(cell: Cell, found: Rates) -> str:
    """A row of the table in `docs/explanation/scores.md`."""
    cells = (cell.documents, cell.entities, cell.rules, f"{cell.f1:.1f}", f"{cell.correlation:.1f}")
    return " | ".join(map(str, (*cells, *(f"{100 * share:.1f}" for share in found))))
