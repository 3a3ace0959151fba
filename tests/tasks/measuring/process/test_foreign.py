"""Load of other processes, from statistics that a test writes."""

import os
from pathlib import Path

import pytest

from nerbench.tasks.measuring.process import machine_state
from nerbench.tasks.measuring.process.machine_state import Moment, busy_seconds, foreign_cores, moment


def test_busy_is_all_but_idle_and_waiting_and_guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 5000 700 4 6 40 90 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    monkeypatch.setattr(machine_state, "STAT", stat)
    assert busy_seconds() == (100 + 20 + 30 + 4 + 6 + 40) / os.sysconf("SC_CLK_TCK")


def test_load_of_other_processes_is_foreign() -> None:
    assert foreign_cores(Moment(10, 5, 100), Moment(14, 9, 110)) == pytest.approx(1.5)
    assert foreign_cores(Moment(10, 5, 100), Moment(14, 9, 103.99)) == 0


def test_without_kernel_statistics_the_load_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_state, "STAT", tmp_path / "nothing")
    before = moment()
    assert before.busy_s is None
    assert foreign_cores(before, moment()) is None
