"""The work of the spawned processes of `test_sets`."""

import os
from multiprocessing.synchronize import Barrier

from killed_steps import write

from nerbench.artifacts.errors import ConflictError

_together: list[Barrier] = []


def join(barrier: Barrier) -> None:
    """Run at the start of every worker, so that all begin each race at the same time."""
    _together.append(barrier)


def append(environment: dict[str, str], url: str, number: int, files: int) -> list[str]:
    """Write separate files; return the keys of the acknowledged ones."""
    os.environ.update(environment)
    _together[0].wait()
    return [write(url, f"{number}-{turn}", number) for turn in range(files)]


def race(url: str, number: int, races: int) -> list[bool]:
    """After `append`, write files that all workers write with different content; return the acknowledged ones."""
    return [_wins(url, f"race-{turn}", number) for turn in range(races)]


def _wins(url: str, key: str, number: int) -> bool:
    _together[0].wait()
    try:
        write(url, key, number)
    except ConflictError:
        return False
    return True
