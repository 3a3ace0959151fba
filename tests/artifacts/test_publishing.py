"""Publishing: interrupted anywhere, in parallel, from a changing folder, with progress reports."""

import logging
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from fake_models import MakeModel
from interruptions import Crash, at_call, crash

from nerbench.artifacts import transfers
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, FileEntry, Provenance
from nerbench.artifacts.references import resolve
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.transfers import AT_ONCE, Stopped, transfer

STEPS = ("_put", "create", "exists", "read", "swap")
WHEN = Provenance(created_at=datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def uploads(root: Root, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of copies of each path."""
    counted: Counter[str] = Counter()
    put = type(root)._put

    def count(self: Root, local: Path, path: str, *given: object) -> str:
        counted[path] += 1
        return put(self, local, path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(type(root), "_put", count)
    monkeypatch.setattr(transfers, "AT_ONCE", 1)  # so that every step has a number
    return counted


def test_a_crash_at_any_step_publishes_all_or_nothing(
    store: Store, ref: ArtifactRef, make_model: MakeModel, uploads: Counter[str]
) -> None:
    before = ref.artifact_id
    listed = {before}
    for step in range(100):
        folder = make_model(f"v{step}", value=10.0 + step)
        with at_call(store.url, STEPS, step, crash) as interruption, suppress(Crash):
            store.publish(folder, "toy", WHEN)
        new = set(store.keys()["toy"]) - listed
        assert all(store.verify(ArtifactKey(name="toy", artifact_id=one)).ok for one in new)
        latest = resolve("toy", store.url)[0].artifact_id
        published = store.publish(folder, "toy", WHEN)
        assert new <= {published.artifact_id}
        assert latest in (before, published.artifact_id)
        assert resolve("toy", store.url) == [published]
        assert store.verify(published).ok
        before = published.artifact_id
        listed.add(before)
        if not interruption.happened:
            break
    assert set(store.keys()["toy"]) == listed
    assert 5 < step < 99
    assert set(uploads.values()) == {1}


def test_a_blob_that_is_collected_during_publication_is_written_again(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root
) -> None:
    (shared,) = [path for path in root.files("blobs", recursive=True) if root.read(path) == b"{}"]
    with at_call(store.url, ("create",), 0, lambda: root.delete(shared)):
        again = store.publish(make_model("again", value=2.0), "toy", Provenance())
    assert store.verify(again).ok


def entries(count: int) -> list[FileEntry]:
    return [FileEntry(path=f"{number}.json", size=1_000_000, sha256="0" * 64) for number in range(count)]


def test_files_move_side_by_side() -> None:
    together = Barrier(AT_ONCE, timeout=120)
    moved = transfer("storing x", entries(AT_ONCE), lambda entry, progress: (together.wait(), entry.path)[1])
    assert moved == [f"{number}.json" for number in range(AT_ONCE)]


def test_the_first_failure_stops_the_others() -> None:
    together = Barrier(2, timeout=120)
    stopped: list[str] = []

    def move(entry: FileEntry, progress: object) -> None:
        assert callable(progress)
        if entry.path == "0.json":
            together.wait()
            while True:
                try:
                    progress(1)
                except Stopped:
                    stopped.append(entry.path)
                    raise
        if entry.path == "1.json":
            together.wait()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        transfer("storing x", entries(2), move)
    assert stopped == ["0.json"]


def test_progress_is_reported_at_most_once_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([0.0, 0.5, 1.5, 1.5, 1.6, 3.0, 3.0])
    monkeypatch.setattr(transfers, "monotonic", lambda: next(times))
    monkeypatch.setattr(transfers, "AT_ONCE", 1)
    with caplog.at_level(logging.INFO, logger="nerbench.progress"):
        transfer("storing x", entries(2), lambda entry, progress: (progress(400_000), progress(1_000_000)))
    assert caplog.messages == ["storing x: 1 of 2 MB", "storing x: 2 of 2 MB"]


@pytest.mark.parametrize("url", ["file", "s3"])
def test_bytes_are_counted_during_the_copy(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> None:
    root = open_root(request.getfixturevalue("s3_url") if url == "s3" else str(tmp_path / "root"))
    (tmp_path / "weights").write_bytes(bytes(3 << 20))
    heard: list[int] = []
    assert root._put(tmp_path / "weights", "w", "0" * 64, heard.append)
    assert heard[-1] == 3 << 20
    assert heard == sorted(heard)
    heard.clear()
    root.download("w", tmp_path / "copy", heard.append)
    assert heard[-1] == 3 << 20
