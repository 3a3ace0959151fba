"""Prints the counts of the torture suite as the table of docs/explanation/performance.md."""

import os
from dataclasses import dataclass, field

from ledger import Findings

SEED = int(os.environ.get("TORTURE_SEED", "20260101"))
"""The seed of all random choices; to repeat a failure, set TORTURE_SEED to its seed."""


@dataclass
class Count:
    """One line of the table."""

    test: str
    """The operation under test."""
    store: str
    """The kind of store."""
    schedules: int = 0
    """Number of runs with different kill points, orders of steps or faults."""
    kills: int = 0
    """Processes ended by SIGKILL, or by an exception at a step if there is no separate process."""
    faults: int = 0
    """Failed requests or damaged files."""
    acknowledged: int = 0
    """Writes that returned; for damage: refusals that name the file."""
    lost: list[str] = field(default_factory=list)
    """Acknowledged, but missing."""
    torn: list[str] = field(default_factory=list)
    """Present, but incomplete; for damage: loaded nevertheless."""
    duplicates: list[str] = field(default_factory=list)
    """Present twice, or acknowledged to two writers."""

    def add(self, findings: Findings) -> None:
        """Add the findings of a ledger."""
        self.lost += findings.lost
        self.torn += findings.torn
        self.duplicates += findings.duplicates

    def assert_nothing_lost(self) -> None:
        """Fail with a list of all findings."""
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
