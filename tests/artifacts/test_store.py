"""The contract of stores: publish, list, verify, materialise, pull, and every byte that may have changed."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_models import LABELS, MakeModel

from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError, UnsafeArtifactError
from artifacts.filesystem import Root
from artifacts.manifest import ArtifactKey, ArtifactRef, FileEntry, Manifest, Provenance
from artifacts.store import Store


def blob(ref: ArtifactRef, store: Store, file: str) -> str:
    digest = next(entry.sha256 for entry in store.manifest(ref).files if entry.path == file)
    return f"blobs/sha256/{digest[:2]}/{digest}"


def flip(root: Root, path: str) -> None:
    data = bytearray(root.read(path))
    data[len(data) // 2] ^= 1
    root.replace(path, bytes(data))


@pytest.fixture
def ref(store: Store, make_model: MakeModel) -> ArtifactRef:
    return store.publish(make_model("toy"), "toy", Provenance(seed=7))


@pytest.fixture
def root(store: Store) -> Root:
    return Root.open(store.url)


def test_publish_and_read_back(store: Store, ref: ArtifactRef, root: Root) -> None:
    manifest = store.manifest(ref)
    assert manifest.artifact_id == ref.artifact_id
    assert (manifest.provenance.seed, manifest.labels) == (7, LABELS)
    assert ref.uri == f"{store.url}/models/toy/manifests/{ref.artifact_id}.json"
    assert store.aliases("toy") == {"latest": ref.artifact_id}
    assert len(root.files("blobs", recursive=True)) == 3
    assert ArtifactRef.model_validate_json(ref.model_dump_json()) == ref


def test_verify_reads_every_byte(store: Store, ref: ArtifactRef, root: Root) -> None:
    intact = store.verify(ref)
    assert (intact.ok, intact.files, intact.problems) == (True, 3, ())
    flip(root, blob(ref, store, "config.json"))
    root.delete(blob(ref, store, "tokenizer.json"))
    broken = store.verify(ref)
    assert not broken.ok
    assert [problem.split(":")[0] for problem in broken.problems] == ["config.json", "tokenizer.json"]
    assert "missing" in broken.problems[1]


def test_a_tampered_manifest_is_not_believed(store: Store, ref: ArtifactRef, root: Root) -> None:
    path = f"models/toy/manifests/{ref.artifact_id}.json"
    root.replace(path, root.read(path).replace(b'"B-PER"', b'"B-ORG"'))
    for read in (store.manifest, store.materialise, store.ref):
        with pytest.raises(CorruptArtifactError, match="does not have its digest"):
            read(ref)
    assert not store.verify(ref).ok


def test_a_manifest_under_another_name_is_not_believed(store: Store, ref: ArtifactRef, root: Root) -> None:
    root.create(f"models/other/manifests/{ref.artifact_id}.json", store.manifest(ref).to_bytes())
    with pytest.raises(CorruptArtifactError, match="manifest of toy"):
        store.manifest(ArtifactKey(name="other", artifact_id=ref.artifact_id))


def test_materialise_gives_the_files(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    folder = store.materialise(ref)
    original = make_model("same")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in original.iterdir()
    }
    (folder / "planted.py").write_text("evil")
    assert not (store.materialise(ref) / "planted.py").exists()


def test_a_flipped_byte_in_the_store_is_never_loaded(store: Store, ref: ArtifactRef, root: Root, cache: Path) -> None:
    flip(root, blob(ref, store, "model.safetensors"))
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors has sha256"):
        store.materialise(ref)
    left = [path.name for path in cache.rglob("*") if path.is_file()]
    assert Path(blob(ref, store, "model.safetensors")).name not in left
    assert not [name for name in left if name.endswith(".tmp")]


def test_verify_does_not_look_at_a_good_local_copy(store: Store, ref: ArtifactRef, root: Root) -> None:
    store.materialise(ref)
    flip(root, blob(ref, store, "model.safetensors"))
    assert not store.verify(ref).ok
    assert store.materialise(ref)  # the verified copy is still what the manifest says


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_local_copy_is_replaced(
    store: Store, ref: ArtifactRef, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    weights = store.materialise(ref) / "model.safetensors"
    good = weights.read_bytes()
    with weights.open("r+b") as stream:  # in place: the snapshot's file is the cached blob
        stream.truncate(len(good) - 1) if damage == "truncated" else stream.write(b"\xff")
    assert weights.read_bytes() != good
    with caplog.at_level(logging.WARNING):
        assert (store.materialise(ref) / "model.safetensors").read_bytes() == good
    assert "model.safetensors of toy is damaged" in caplog.text


def test_a_replaced_file_of_a_snapshot_is_restored(store: Store, ref: ArtifactRef) -> None:
    config = store.materialise(ref) / "config.json"
    good = config.read_bytes()
    config.unlink()
    config.write_text('{"auto_map": {}}')
    assert (store.materialise(ref) / "config.json").read_bytes() == good


def test_threads_materialise_side_by_side(store: Store, ref: ArtifactRef, cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: store.materialise(ref), range(16)))
    assert len(folders) == 1
    assert len(list(folders.pop().iterdir())) == 3
    assert not list(cache.rglob("*.tmp"))


def test_materialise_works_without_hard_links(
    store: Store, ref: ArtifactRef, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("artifacts.cache.os.link", refuse)
    for _ in range(2):
        assert len(list(store.materialise(ref).iterdir())) == 3


def test_unsafe_files_of_a_store_are_not_materialised(store: Store, ref: ArtifactRef, root: Root) -> None:
    evil = canonical_json({"auto_map": {"AutoModel": "x.Y"}})
    good = store.manifest(ref)
    config = FileEntry(path="config.json", size=len(evil), sha256=sha256_hex(evil))
    forged = good.model_copy(update={"files": (config, *good.files[1:])})
    root.create(f"blobs/sha256/{config.sha256[:2]}/{config.sha256}", evil)
    root.create(f"models/toy/manifests/{forged.artifact_id}.json", forged.to_bytes())
    with pytest.raises(UnsafeArtifactError, match="auto_map"):
        store.materialise(ArtifactKey(name="toy", artifact_id=forged.artifact_id))


def test_pull_writes_files_and_manifest(store: Store, ref: ArtifactRef, tmp_path: Path) -> None:
    folder = tmp_path / "pulled"
    store.pull(ref, folder)
    assert Manifest.from_bytes((folder / "manifest.json").read_bytes()).artifact_id == ref.artifact_id
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    with pytest.raises(InputError, match="is not empty"):
        store.pull(ref, folder)


@pytest.mark.parametrize("existed", [False, True])
def test_a_failed_pull_leaves_nothing(
    store: Store, ref: ArtifactRef, root: Root, tmp_path: Path, existed: bool
) -> None:
    flip(root, blob(ref, store, "tokenizer.json"))
    folder = tmp_path / "pulled"
    if existed:
        folder.mkdir()
    with pytest.raises(CorruptArtifactError, match=r"tokenizer\.json"):
        store.pull(ref, folder)
    assert folder.exists() == existed
    assert not existed or list(folder.iterdir()) == []


def test_without_a_manifest_there_is_no_artifact(
    store: Store, make_model: MakeModel, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.publish(make_model("one"), "toy", Provenance())

    create = store._root.create

    def crash(path: str, data: bytes) -> None:
        if path.startswith("models/"):
            raise ConnectionError("killed")
        create(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(store._root, "create", crash)
        with pytest.raises(ConnectionError):
            store.publish(make_model("two", value=2.0), "toy", Provenance())
        with pytest.raises(ConnectionError):
            store.publish(make_model("three", value=3.0), "new", Provenance())
    assert len(root.files("blobs", recursive=True)) > 3
    assert store.names() == ["toy"]
    assert [summary.artifact_id for summary in store.list()] == [first.artifact_id]
    assert store.aliases("toy") == {"latest": first.artifact_id}


def test_aliases_move_only_to_what_is_published(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
    second = store.publish(make_model("second", value=2.0), "toy", Provenance())
    assert store.aliases("toy")["latest"] == second.artifact_id
    store.set_alias("toy", "champion", ref.artifact_id)
    assert store.aliases("toy") == {"champion": ref.artifact_id, "latest": second.artifact_id}
    with pytest.raises(ArtifactNotFoundError):
        store.set_alias("toy", "champion", "0" * 64)
    with pytest.raises(InputError, match="cannot be used"):
        store.set_alias("toy", "../latest", ref.artifact_id)
    assert store.aliases("toy")["champion"] == ref.artifact_id


def test_a_broken_alias_is_named(store: Store, ref: ArtifactRef, root: Root) -> None:
    root.replace("models/toy/aliases/latest.json", b'{"artifact_id": "../../x"}')
    with pytest.raises(CorruptArtifactError, match=r"latest\.json"):
        store.aliases("toy")


def test_the_same_model_twice_is_one_model(store: Store, make_model: MakeModel, root: Root) -> None:
    one = store.publish(make_model("one"), "one", Provenance(seed=1))
    two = store.publish(make_model("two"), "two", Provenance(seed=2))
    assert one.artifact_id != two.artifact_id
    assert one.model_sha256 == two.model_sha256
    assert len(root.files("blobs", recursive=True)) == 3


def test_publishing_again_is_harmless(store: Store, make_model: MakeModel) -> None:
    folder, when = make_model(), Provenance(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert store.publish(folder, "toy", when) == store.publish(folder, "toy", when)
    assert len(store.list()) == 1


def test_a_short_blob_is_noticed_when_publishing(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root
) -> None:
    path = blob(ref, store, "model.safetensors")
    root.replace(path, root.read(path)[:-1])
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors.*bytes instead of"):
        store.publish(make_model("again"), "toy", Provenance())


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "x" * 97, "ä", "*", "a@b", "a b"])
def test_names_that_are_refused(store: Store, make_model: MakeModel, root: Root, name: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        store.publish(make_model(), name, Provenance())
    assert root.files(recursive=True) == []


def test_listing(store: Store, make_model: MakeModel, root: Root, caplog: pytest.LogCaptureFixture) -> None:
    assert store.list() == []
    dates = {"b": 2, "a": 3, "c": 1}
    for value, (name, day) in enumerate(dates.items()):
        when = Provenance(created_at=datetime(2026, 1, day, tzinfo=UTC))
        store.publish(make_model(name, value=value), name, when)
    listed = store.list()
    assert [summary.name for summary in listed] == ["a", "b", "c"]
    assert store.names() == ["a", "b", "c"]
    assert all(summary.aliases == ("latest",) and summary.labels == LABELS for summary in listed)
    assert listed[0].bytes == store.manifest(listed[0]).total_bytes
    flip(root, listed[0].uri.removeprefix(f"{store.url}/"))
    assert [summary.name for summary in store.list()] == ["b", "c"]
    assert "left out of the listing: a:" in caplog.text
