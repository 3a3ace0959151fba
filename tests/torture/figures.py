"""What the torture suite counted, printed as the table of docs/explanation/performance.md."""

import os
from dataclasses import dataclass, field

from ledger import Findings

SEED = int(os.environ.get("TORTURE_SEED", "20260101"))
"""Of every random choice; set TORTURE_SEED to that of a failure to repeat it."""


@dataclass
class Count:
    """One line of the table."""

    test: str
    """What was tried."""
    store: str
    """Where."""
    schedules: int = 0
    """Runs that differ: in the point of the kill, the order of steps or the faults."""
    kills: int = 0
    """Processes ended by SIGKILL, or by an exception at a step where there is no process of its own."""
    faults: int = 0
    """Requests that went wrong, or files that were damaged."""
    acknowledged: int = 0
    """Writes that returned; for damage: refusals that name the file."""
    lost: list[str] = field(default_factory=list)
    """Acknowledged, and not there."""
    torn: list[str] = field(default_factory=list)
    """There, and not whole; for damage: loaded all the same."""
    duplicates: list[str] = field(default_factory=list)
    """There twice, or acknowledged to two writers."""

    def add(self, findings: Findings) -> None:
        """Note what a ledger found."""
        self.lost += findings.lost
        self.torn += findings.torn
        self.duplicates += findings.duplicates

    def assert_nothing_lost(self) -> None:
        """Fails with every finding."""
        found = [*self.lost, *self.torn, *self.duplicates]
        assert not found, "\n".join([f"TORTURE_SEED={SEED} finds {len(found)}", *found[:20]])


COLUMNS = ("schedules", "kills", "faults", "acknowledged", "lost", "torn", "duplicates")


def table(counts: list[Count]) -> list[str]:
    """Lines of Markdown."""
    lines = [["test", "store", *COLUMNS], ["---", "---", *(["---:"] * len(COLUMNS))]]
    lines += [[count.test, count.store, *map(_number, _values(count))] for count in counts]
    totals = [sum(values) for values in zip(*map(_values, counts), strict=True)]
    lines.append(["all", f"seed {SEED}", *map(_number, totals)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]


def _values(count: Count) -> list[int]:
    values = [getattr(count, column) for column in COLUMNS]
    return [len(value) if isinstance(value, list) else value for value in values]


def _number(value: int) -> str:
    return f"{value:,}"
