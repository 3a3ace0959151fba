"""A full disk: one line that names place and remedy, no partial files, and a rerun that continues."""

import os
from pathlib import Path
from typing import Any

import pytest
from full_disk import files_of_at_most
from small_corpus import TINY, write_corpus

from nerbench.artifacts.errors import NerbenchError, RunFailedError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import resolve, verify
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config, DatasetConfig, ModelConfig
from nerbench.tasks.training import launch

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is full")  # noqa: PTH110
SAID = "cannot be written: No space left on device; make room on that disk or choose another, and run it again"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Write new files with one of these in their paths to a full device."""
    places: set[str] = set()
    opened = os.open

    def open_one(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = opened(path, flags, *arguments, **options)
        if not (flags & os.O_EXCL and any(place in str(path) for place in places)):
            return descriptor
        os.close(descriptor)
        return opened("/dev/full", os.O_WRONLY)

    monkeypatch.setattr("nerbench.artifacts.storage.paths.os.open", open_one)
    return places


def torn(folder: Path) -> list[Path]:
    """Files that are unfinished or empty; a lock is always empty."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock.tmp"]
    return [path for path in files if path.suffix == ".tmp" or not path.stat().st_size]


@pytest.mark.parametrize("place", ["/blobs/", "/manifests/", "/aliases/"])
def test_a_publication_is_completed_once_there_is_space(
    full: set[str], place: str, tiny_model_folder: Path, tmp_path: Path
) -> None:
    store = Store(str(tmp_path / "store"))
    full.add(place)
    with pytest.raises(NerbenchError, match=rf"^{tmp_path}/store\S*{place}\S+ {SAID}") as told:
        store.publish(tiny_model_folder, "tiny", Provenance(seed=1))
    assert told.value.exit_status == 1
    assert torn(tmp_path / "store") == []
    full.clear()
    store.publish(tiny_model_folder, "tiny", Provenance(seed=1))
    (found,) = resolve("tiny", store.url)
    assert [one.ok for one in verify(found.uri, store.url)] == [True]


@pytest.mark.slow
@pytest.mark.e2e
def test_a_benchmark_continues_once_there_is_space(
    full: set[str], config: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    from nerbench.flows.benchmark import benchmark

    results = tmp_path / "results"
    moved = config.model_copy(update={"results": str(results)})
    for place in ("/.cache/evaluations/", "/predictions/", "/metrics/", "/runs/"):
        full.clear()
        full.add(place)
        with pytest.raises(NerbenchError, match=rf"{results}/\S*{place[1:]}\S+ {SAID}") as told:
            benchmark(moved, models=["tiny"])
        assert told.value.exit_status == 1
        assert "\n" not in str(told.value)
        assert torn(results) == []
    full.clear()
    summary = benchmark(moved, models=["tiny"])
    assert (summary["evaluated"], summary["cached"]) == (0, 1)
    assert {run["outcome"] for run in read_results(str(results), "runs").to_pylist()} == {"failed", "ok"}
    assert read_results(str(results), "metrics").num_rows


@pytest.mark.slow
@pytest.mark.parametrize("size", [30_000, 80_000], ids=["weights", "optimizer"])
def test_a_training_resumes_from_its_checkpoint_once_there_is_space(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    corpus = write_corpus(tmp_path / "corpus.txt", 12)
    dataset = DatasetConfig(name="own", files={"train": corpus, "validation": corpus})
    settings = {"name": "tiny", "base": TINY, "epochs": 2, "learning_rate": 5e-3, "batch_tokens": 64, "vocabulary": 200}
    model = ModelConfig.model_validate(settings)
    said = rf"^training tiny failed: {tmp_path}/cache/\S+ cannot be written: "
    with files_of_at_most(size), pytest.raises(RunFailedError, match=said) as told:
        launch.train(launch.plan_training(model, dataset), lambda event: None)
    assert "; make room on that disk or choose another, and run it again to go on" in str(told.value)
    assert launch.train(launch.plan_training(model, dataset), lambda event: None).provenance.metrics
