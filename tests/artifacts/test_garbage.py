"""What is collected, and what never is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from damage import blob, flip
from fake_models import MakeModel
from interruptions import Crash, at_call, crash

from artifacts.errors import CorruptArtifactError, InputError
from artifacts.garbage import find_garbage, remove_garbage
from artifacts.manifest import ArtifactRef, Provenance
from artifacts.storage.filesystem import Root
from artifacts.store import Store

LATER = datetime.now(UTC) + timedelta(days=30)
"""When everything that the tests write is old."""


def leave_a_blob(store: Store, folder: Path) -> None:
    """Publish as far as to the manifest."""
    with at_call(store.url, ("create",), 0, crash), pytest.raises(Crash):
        store.publish(folder, "unfinished", Provenance())


def paths(store: Store, **options: timedelta) -> list[str]:
    return [one.path for one in find_garbage(store, now=LATER, **options)]


def test_what_no_manifest_names_goes(store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root) -> None:
    before = root.files(recursive=True)
    assert paths(store) == []
    leave_a_blob(store, make_model("other", value=2.0))
    (left,) = [path for path in root.files(recursive=True) if path not in before]
    assert find_garbage(store) == []  # it is young
    (found,) = find_garbage(store, now=LATER)
    assert (found.path, found.kind, found.bytes) == (left, "blob", len(root.read(left)))
    assert root.exists(left)
    assert remove_garbage(store, [found]) == [found]
    assert root.files(recursive=True) == before
    assert store.verify(ref).ok
    assert remove_garbage(store, [found]) == []


def test_shared_blobs_stay_with_the_last_that_needs_them(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root
) -> None:
    other = store.publish(make_model("other", value=2.0), "toy", Provenance())
    assert paths(store) == []
    found = find_garbage(store, unaliased=timedelta(days=1), now=LATER)
    assert [one.kind for one in found] == ["manifest", "blob"]
    assert found[1].path == blob(ref, store, "model.safetensors")
    remove_garbage(store, found)
    assert [summary.artifact_id for summary in store.list()] == [other.artifact_id]
    assert store.verify(other).ok


def test_what_has_an_alias_stays(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    store.set_alias("toy", "champion", ref.artifact_id)
    store.publish(make_model("other", value=2.0), "toy", Provenance())
    assert paths(store, unaliased=timedelta(days=1)) == []


def test_what_gets_an_alias_meanwhile_stays_whole(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    store.publish(make_model("other", value=2.0), "toy", Provenance())
    found = find_garbage(store, unaliased=timedelta(days=1), now=LATER)
    assert len(found) == 2
    store.set_alias("toy", "champion", ref.artifact_id)
    assert remove_garbage(store, found) == []
    assert store.verify(ref).ok


def test_what_is_published_meanwhile_stays(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    folder = make_model("other", value=2.0)
    leave_a_blob(store, folder)
    found = find_garbage(store, now=LATER)
    again = store.publish(folder, "toy", Provenance())
    assert remove_garbage(store, found) == []
    assert store.verify(again).ok


def test_what_is_renewed_meanwhile_stays(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model("other", value=2.0)
    leave_a_blob(store, folder)
    (found,) = [
        one.model_copy(update={"modified": one.modified - timedelta(days=9)}) for one in find_garbage(store, now=LATER)
    ]
    assert remove_garbage(store, [found]) == []
    assert root.exists(found.path)


def test_a_manifest_that_cannot_be_read_protects_everything(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root
) -> None:
    leave_a_blob(store, make_model("other", value=2.0))
    found = find_garbage(store, now=LATER)
    flip(root, f"models/toy/manifests/{ref.artifact_id}.json")
    for collect in (lambda: find_garbage(store, now=LATER), lambda: remove_garbage(store, found)):
        with pytest.raises(CorruptArtifactError, match="needs is not known, so nothing is removed"):
            collect()
    assert root.exists(found[0].path)


def test_leftovers_of_crashes_go(tmp_path: Path, make_model: MakeModel) -> None:
    store = Store(str(tmp_path / "store"))
    store.publish(make_model(), "toy", Provenance())
    left = tmp_path / "store" / "blobs" / "sha256" / f".{'a' * 32}.tmp"
    left.write_bytes(b"half")
    assert find_garbage(store) == []
    (found,) = find_garbage(store, now=LATER)
    assert (found.kind, found.path) == ("unfinished write", f"blobs/sha256/{left.name}")
    remove_garbage(store, [found])
    assert not left.exists()
    assert (tmp_path / "store/models/toy/aliases/.lock.tmp").exists()


def test_the_grace_time_is_never_too_short(store: Store) -> None:
    with pytest.raises(InputError, match="grace: 0:10:00 is less than 1:00:00"):
        find_garbage(store, grace=timedelta(minutes=10))
