"""Local copies of artifacts are verified and repaired, and never contain changed bytes."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from damage import blob, flip
from fake_models import MakeModel

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, FileEntry, Manifest
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store import Store


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


def test_verify_does_not_read_a_local_copy(store: Store, ref: ArtifactRef, root: Root) -> None:
    store.materialise(ref)
    flip(root, blob(ref, store, "model.safetensors"))
    assert not store.verify(ref).ok
    assert store.materialise(ref)  # the verified copy still matches the manifest


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

    monkeypatch.setattr("nerbench.artifacts.local_copies.os.link", refuse)
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
