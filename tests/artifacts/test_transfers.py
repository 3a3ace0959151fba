"""Several accesses at once: as many as a store answers, and as many as there are cores for local files."""

import os
import time
from pathlib import Path
from threading import Lock

import pytest

from nerbench.artifacts.storage.filesystem import REQUESTS_AT_ONCE
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.transfers import in_parallel


def most_at_once(at_once: int) -> int:
    """How many of twenty calls ran at the same time."""
    lock, running, most = Lock(), 0, 0

    def call(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return number

    assert in_parallel(call, range(20), at_once) == list(range(20))
    return most


def test_local_files_are_read_in_as_many_threads_as_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores, expected in ((1, 1), (2, 2), (64, REQUESTS_AT_ONCE), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert most_at_once(open_root(str(tmp_path / f"of {cores}")).at_once) <= expected
    assert open_root("memory://threads").at_once == REQUESTS_AT_ONCE
