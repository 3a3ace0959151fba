"""Measurements of an interrupted sweep are kept per machine and version, for a limited time, by one sweep at a time."""

import logging
import os
import time
from pathlib import Path

import pytest

from nerbench.tasks.measuring import interrupted_sweeps as module
from nerbench.tasks.measuring.interrupted_sweeps import KEPT_S, Journal, machine_key, opened_journal


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path))
    return tmp_path


def test_recorded_measurements_are_kept_until_they_are_removed() -> None:
    with opened_journal() as journal:
        journal.note("a", {"round": 0, "samples": [0.1]})
        journal.note("a", {"round": 1})
        journal.note("b", {"round": 0})
        journal.forget(["b"])
    with opened_journal() as journal:
        assert journal.events("a") == [{"round": 0, "samples": [0.1]}, {"round": 1}]
        assert journal.events("b") == []


def test_a_truncated_line_is_not_a_measurement(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.note("a", {"round": 0})
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('\n{"round": 1, "samp')
    journal.note("a", {"round": 2})
    assert journal.events("a") == [{"round": 0}, {"round": 2}]


@pytest.mark.parametrize("name", ["host", "torch", "cpu", "code_commit"])
def test_another_machine_or_version_has_another_journal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine_key()
    assert machine_key() == here
    known = module.environment()
    monkeypatch.setattr(module, "environment", lambda: known | {name: "another"})
    assert machine_key() != here
    with opened_journal() as journal:
        journal.note("a", {"round": 0})
    monkeypatch.setattr(module, "environment", lambda: known)
    with opened_journal() as journal:
        assert journal.events("a") == []


def test_old_measurements_are_removed(cache: Path) -> None:
    with opened_journal() as journal:
        journal.note("a", {"round": 0})
    (path,) = cache.glob("sweeps/*/a.jsonl")
    long_ago = time.time() - KEPT_S - 1
    os.utime(path, (long_ago, long_ago))
    with opened_journal() as journal:
        assert journal.events("a") == []
    assert not path.exists()


def test_a_concurrent_sweep_reuses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with opened_journal() as first, caplog.at_level(logging.WARNING):
        first.note("a", {"round": 0})
        with opened_journal() as second:
            assert second.events("a") == []
            second.note("a", {"round": 5})
        assert first.events("a") == [{"round": 0}]
    assert "another sweep runs on this machine" in caplog.text


def test_without_a_cache_a_sweep_continues_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING), opened_journal() as journal:
        journal.note("a", {"round": 0})
        assert journal.events("a") == [{"round": 0}]
    assert "cannot be resumed" in caplog.text
