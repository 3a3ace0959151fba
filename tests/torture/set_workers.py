"""What the spawned processes of `test_sets` do."""

import os
from multiprocessing.synchronize import Barrier

from killed_steps import write

from nerbench.artifacts.errors import ConflictError

_together: list[Barrier] = []


def join(barrier: Barrier) -> None:
    """Run at the start of every worker: all of them will begin each race at once."""
    _together.append(barrier)


def append(environment: dict[str, str], url: str, number: int, files: int) -> list[str]:
    """Write files of our own; the keys of those that were acknowledged."""
    os.environ.update(environment)
    _together[0].wait()
    return [write(url, f"{number}-{turn}", number) for turn in range(files)]


def race(url: str, number: int, races: int) -> list[bool]:
    """Write files that all workers write, each something else, after `append`; which of them were acknowledged."""
    return [_wins(url, f"race-{turn}", number) for turn in range(races)]


def _wins(url: str, key: str, number: int) -> bool:
    _together[0].wait()
    try:
        write(url, key, number)
    except ConflictError:
        return False
    return True
