"""Taggers and models through a real Prefect server: saved, evaluated, cached, compared; one fails alone."""

from pathlib import Path
from typing import Any

import pytest
from tiny_taggers import CAPITALS, write_adapter

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e


@pytest.fixture
def beside(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A tagger, an unpinned one, and one that dies."""
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path))
    adapter = write_adapter(tmp_path, CAPITALS)
    (tmp_path / "dying").mkdir()
    dying = write_adapter(tmp_path / "dying", "os.kill(os.getpid(), signal.SIGKILL)\nyield")
    changes = {
        "store": str(tmp_path / "store"),
        "results": str(tmp_path / "results"),
        "models": [
            {"name": "capitals", "tagger": adapter},
            {"name": "dying", "tagger": dying},
            {"name": "unpinned", "tagger": adapter, "pinned": False},
        ],
    }
    return Config.model_validate(config.model_dump() | changes)


def run(config: Config) -> dict[str, Any]:
    from nerbench.flows.pipeline import pipeline

    with pytest.raises(RunFailedError) as caught:
        pipeline(config)
    assert "dying: tagger dying: was killed by SIGKILL" in str(caught.value)
    assert "at sentence 1 (Anna Berg visited Oslo .)" in str(caught.value)
    assert caught.value.summary
    return caught.value.summary


def test_a_tagger_that_dies_fails_alone_and_the_others_are_cached_or_repeated(beside: Config) -> None:
    first, second = run(beside), run(beside)
    scored = {row["model"] for row in first["metrics"]}
    assert scored == {"capitals", "unpinned"}
    assert (first["evaluated"], first["cached"]) == (2, 0)
    assert (second["evaluated"], second["cached"]) == (1, 1)
    rows = read_results(beside.results, "metrics", columns=["model", "kind", "pinned", "n_unmapped"]).to_pylist()
    assert {tuple(row.values()) for row in rows} == {("capitals", "tagger", None, 3), ("unpinned", "tagger", False, 3)}
    (judged,) = read_results(beside.results, "gate").to_pylist()
    assert (judged["kind"], judged["model"], judged["candidate"]) == ("repeatability", "unpinned", 1.0)
    assert "100.0% of the entities agree with the run" in judged["reason"]
    assert not judged["failed"]
