"""`nerbench cache`: listing, pruning, and refused requests."""

import json
import os
from pathlib import Path

import pytest

from nerbench.flows.cli import status_of
from nerbench.tasks.run_identity import utc_now

COUNTS = f".cache/counts/{'a' * 64}.parquet"


@pytest.fixture
def old_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Counts of a month ago, below results in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "local"))
    file = tmp_path / "var" / "results" / COUNTS
    file.parent.mkdir(parents=True)
    file.write_bytes(b"counts")
    os.utime(file, (utc_now().timestamp() - 30 * 86400,) * 2)
    return file


def test_entries_are_listed(old_counts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["cache", "ls", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["entries"]
    assert {name: entry[name] for name in ("cache", "name", "bytes", "in_use")} == {
        "cache": "counts",
        "name": COUNTS,
        "bytes": 6,
        "in_use": False,
    }
    assert status_of(["cache", "ls"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["counts", "a" * 12, "0.00", *printed.out.split()[-3:-1], "no"]
    assert printed.err == "1 cache entry, 0.0 MB\n"


def test_tokenized_corpora_are_listed_and_removed(old_counts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = Path("local", "tokenized", f"{'b' * 64}.arrow")
    corpus.parent.mkdir(parents=True)
    corpus.write_bytes(b"tokens")
    os.utime(corpus, (utc_now().timestamp() - 30 * 86400,) * 2)
    assert status_of(["cache", "prune", "--set", "cache.max_days=7", "--json"]) == 0
    removed = json.loads(capsys.readouterr().out)["entries"]
    assert {(one["cache"], one["name"]) for one in removed} >= {("tokenized", f"tokenized/{corpus.name}")}
    assert not corpus.exists()


@pytest.mark.parametrize(("days", "goes"), [("7", True), ("60", False)])
def test_entries_beyond_a_limit_are_removed(
    old_counts: Path, days: str, goes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["cache", "prune", "--set", f"cache.max_days={days}"]
    assert status_of([*command, "--dry-run"]) == 0
    assert "would be removed" in capsys.readouterr().err
    assert old_counts.exists()
    assert status_of([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["entries"]) == goes
    assert old_counts.exists() is not goes


@pytest.mark.parametrize(
    ("options", "said"), [([], "cache: has no limits"), (["--set", "cache.max_gb=-1"], "cache.max_gb")]
)
def test_pruning_needs_a_limit(
    old_counts: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["cache", "prune", *options]) == 2
    assert said in capsys.readouterr().err
    assert old_counts.exists()
