"""Garbage collection: which files are removed, and which are kept."""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from damage import blob, flip
from fake_models import MakeModel
from interruptions import Crash

from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.garbage import Garbage, find_foreign, find_garbage, remove_garbage
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import kind_of

LATER = datetime.now(UTC) + timedelta(days=30)
"""A time at which all files of the tests are old."""


def leave_a_blob(store: Store, folder: Path) -> None:
    """Publish up to the manifest, which is not written."""
    kind = type(open_root(store.url))
    create = kind.create

    def crash_at_manifest(root: Root, path: str, data: bytes) -> None:
        if kind_of(path) == "manifest":
            raise Crash
        create(root, path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "create", crash_at_manifest)
        with pytest.raises(Crash):
            store.publish(folder, "unfinished", Provenance())


def paths(store: Store, **options: timedelta) -> list[str]:
    return [one.path for one in find_garbage(store, now=LATER, **options)]


def test_blobs_without_a_manifest_are_removed(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root
) -> None:
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


def test_a_shared_blob_stays_until_its_last_artifact_is_removed(
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


def test_an_artifact_with_an_alias_stays(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    store.set_alias("toy", "champion", ref.artifact_id)
    store.publish(make_model("other", value=2.0), "toy", Provenance())
    assert paths(store, unaliased=timedelta(days=1)) == []


def test_an_artifact_that_gets_an_alias_during_collection_stays(
    store: Store, ref: ArtifactRef, make_model: MakeModel
) -> None:
    store.publish(make_model("other", value=2.0), "toy", Provenance())
    found = find_garbage(store, unaliased=timedelta(days=1), now=LATER)
    assert len(found) == 2
    store.set_alias("toy", "champion", ref.artifact_id)
    assert remove_garbage(store, found) == []
    assert store.verify(ref).ok


def test_an_artifact_published_during_collection_stays(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    folder = make_model("other", value=2.0)
    leave_a_blob(store, folder)
    found = find_garbage(store, now=LATER)
    again = store.publish(folder, "toy", Provenance())
    assert remove_garbage(store, found) == []
    assert store.verify(again).ok


def test_a_blob_renewed_during_collection_stays(
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
        with pytest.raises(CorruptArtifactError, match="needs is unknown, so nothing is removed"):
            collect()
    assert root.exists(found[0].path)


def test_leftovers_of_crashes_are_removed(tmp_path: Path, make_model: MakeModel) -> None:
    store = Store(str(tmp_path / "store"))
    store.publish(make_model(), "toy", Provenance())
    left = tmp_path / "store" / "blobs" / "sha256" / "aa" / f".{'a' * 32}.tmp"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half")
    assert find_garbage(store) == []
    (found,) = find_garbage(store, now=LATER)
    assert (found.kind, found.path) == ("unfinished write", f"blobs/sha256/aa/{left.name}")
    remove_garbage(store, [found])
    assert not left.exists()
    assert (tmp_path / "store/models/toy/aliases/.lock.tmp").exists()


def test_the_grace_time_is_never_too_short(store: Store) -> None:
    with pytest.raises(InputError, match="grace: 0:10:00 is less than 1:00:00"):
        find_garbage(store, grace=timedelta(minutes=10))


FOREIGN = [
    "blobs/notes.txt",
    "blobs/sha256/ab/" + "0" * 64,  # in the folder of another
    "blobs/sha256/00/" + "0" * 63,
    "blobs/sha256/" + "0" * 64,
    "blobs/thesis/.0.tmp",
    f"blobs/thesis/.{'a' * 32}.tmp",
    "models/README.md",
    "models/toy/manifests/notes.json",
    "models/toy/manifests/deep/" + "0" * 64 + ".json",
    "models/toy/weights.bin",
]


def test_foreign_files_are_reported_and_stay(store: Store, ref: ArtifactRef, root: Root) -> None:
    for path in FOREIGN:
        root.create(path, b"mine")
    root.create("elsewhere/notes.txt", b"mine")
    assert find_garbage(store, now=LATER, unaliased=timedelta(0)) == []
    found = find_foreign(store)
    assert [one.path for one in found] == sorted(FOREIGN)
    assert {one.problem for one in found} == {"not a name of a store"}
    as_garbage = [Garbage(path=path, kind="blob", bytes=4, modified=root.modified(path)) for path in FOREIGN]
    assert remove_garbage(store, as_garbage) == []
    assert all(root.exists(path) for path in FOREIGN)


def link_a_folder(folder: Path, elsewhere: Path) -> None:
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)


@pytest.mark.parametrize("linked", ["blobs", "blobs/sha256", "blobs/sha256/00", "models", "models/toy"])
def test_nothing_is_removed_through_a_linked_folder(tmp_path: Path, make_model: MakeModel, linked: str) -> None:
    store = Store(str(tmp_path / "store"))
    root = open_root(store.url)
    old = store.publish(make_model("old", value=2.0), "toy", Provenance())
    store.publish(make_model(), "toy", Provenance())
    root.create(f"blobs/sha256/00/{'0' * 64}", b"nobody's")
    root.create(f"models/toy/aliases/.{'0' * 32}.tmp", b"half")
    whole = find_garbage(store, now=LATER, unaliased=timedelta(0))
    link_a_folder(tmp_path / "store" / linked, tmp_path / "elsewhere")
    assert [(one.path, one.problem) for one in find_foreign(store)] == [(linked, "a link, which is not followed")]
    assert [one for one in find_garbage(store, now=LATER) if one.path.startswith(linked)] == []
    assert [one for one in remove_garbage(store, whole) if one.path.startswith(linked)] == []
    assert [one.name for one in store.list()] == ["toy"] * len(store.list())
    if linked.startswith("models"):
        assert store.verify(old).ok  # files of a linked manifest are kept


def test_a_linked_file_is_not_garbage(tmp_path: Path, make_model: MakeModel) -> None:
    store = Store(str(tmp_path / "store"))
    store.publish(make_model(), "toy", Provenance())
    link = tmp_path / "store/blobs/sha256/00" / ("0" * 64)
    link.parent.mkdir()
    (tmp_path / "victim").write_text("mine")
    link.symlink_to(tmp_path / "victim")
    assert find_garbage(store, now=LATER) == []
    assert [one.path for one in find_foreign(store)] == [link.relative_to(store.url).as_posix()]


@pytest.mark.parametrize("days", [-3650, 3650])
def test_this_machines_clock_does_not_count(
    store: Store, ref: ArtifactRef, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Even if it is wrong by years: the age of a file is the difference of two times of the store."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(days=days)

    for module in (
        "nerbench.artifacts.garbage",
        "nerbench.artifacts.storage.filesystem",
        "nerbench.artifacts.store",
        "nerbench.artifacts.aliases",
    ):
        monkeypatch.setattr(f"{module}.datetime", Wrong)
    newer = store.publish(make_model("other", value=2.0), "toy", Provenance())
    assert store.aliases("toy")["latest"] == newer.artifact_id
    leave_a_blob(store, make_model("third", value=3.0))
    assert find_garbage(store, unaliased=timedelta(days=1)) == []
    monkeypatch.setattr(type(open_root(store.url)), "now", lambda root, beside: LATER)
    assert [one.kind for one in find_garbage(store, unaliased=timedelta(days=1))] == ["manifest", "blob", "blob"]
