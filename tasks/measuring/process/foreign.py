"""How busy other processes keep the machine meanwhile, from the kernel's accounts (Linux; elsewhere unknown)."""

import os
import time
from pathlib import Path
from typing import NamedTuple

STAT = Path("/proc/stat")
IDLE = (3, 4)
"""Columns of a `cpu` line in which nothing is computed: idle, and waiting for a disk."""
COUNTED = 8
"""Columns from user to steal, which is other machines' work on these cores; guests' are in user already."""


class Moment(NamedTuple):
    """The accounts at one time."""

    wall_s: float
    own_s: float
    """Processor seconds of this process."""
    busy_s: float | None
    """Processor seconds of everything; None where the kernel does not tell."""


def moment() -> Moment:
    """The accounts now."""
    return Moment(time.perf_counter(), time.process_time(), busy_seconds())


def busy_seconds() -> float | None:
    """Processor seconds that all processes and all machines on these cores have used since the start."""
    if not STAT.exists():
        return None
    ticks = [int(field) for field in STAT.read_text().partition("\n")[0].split()[1 : COUNTED + 1]]
    return sum(value for column, value in enumerate(ticks) if column not in IDLE) / os.sysconf("SC_CLK_TCK")


def foreign_cores(before: Moment, after: Moment) -> float | None:
    """Cores that other processes kept busy between two moments, on average; 0.5 is half of one core's time."""
    if before.busy_s is None or after.busy_s is None or after.wall_s <= before.wall_s:
        return None
    foreign = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return max(0.0, foreign / (after.wall_s - before.wall_s))
