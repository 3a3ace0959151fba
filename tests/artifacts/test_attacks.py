"""Hostile files in a folder or a store, and changed bytes, are never loaded."""

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from damage import blob
from fake_models import MakeModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerbench.artifacts import model_folder as folders
from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, Provenance
from nerbench.artifacts.model_folder import describe_folder
from nerbench.artifacts.references import materialise, resolve
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store

FILES = ("config.json", "model.safetensors", "tokenizer.json")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda data: b"",
    "one byte less": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "first byte": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "last byte": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "endless": lambda data: data * 1000,
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_no_damaged_file_is_loaded(
    tmp_path: Path, make_model: MakeModel, file: str, damage: Callable[[bytes], bytes]
) -> None:
    store, root = Store(str(tmp_path / "store")), open_root(str(tmp_path / "store"))
    ref = store.publish(make_model(), "toy", Provenance())
    path = blob(ref, store, file)
    root.replace(path, damage(root.read(path)))
    refused(store, ref, file)
    root.delete(path)
    refused(store, ref, file)


def refused(store: Store, ref: ArtifactRef, file: str) -> None:
    found = store.verify(ref)
    assert not found.ok
    assert [problem.partition(":")[0] for problem in found.problems] == [file]
    for load in (store.materialise, lambda ref: store.pull(ref, Path(store.url).parent / "pulled")):
        with pytest.raises(CorruptArtifactError, match=rf"{file} (has|is missing)"):
            load(ref)


STATELESS = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def stored(memory_url: str, make_model: MakeModel) -> tuple[Store, ArtifactRef]:
    store = Store(memory_url)
    return store, store.publish(make_model(), "toy", Provenance())


@contextmanager
def flipped(root: Root, path: str, position: int, bit: int, cut: bool = False) -> Iterator[None]:
    """Within this context, one bit of a file is flipped, or the file is truncated."""
    good = root.read(path)
    data = bytearray(good)
    data[position % len(data)] ^= 1 << bit
    root.replace(path, bytes(data[: position % len(data)] if cut else data))
    try:
        yield
    finally:
        root.replace(path, good)


@STATELESS
@given(file=st.sampled_from(FILES), position=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_no_bit_can_be_flipped(
    stored: tuple[Store, ArtifactRef], tmp_path: Path, file: str, position: int, bit: int, cut: bool
) -> None:
    store, ref = stored
    with flipped(open_root(store.url), blob(ref, store, file), position, bit, cut):
        assert not store.verify(ref).ok
        with pytest.raises(CorruptArtifactError, match=file):
            store.pull(ref, tmp_path / "pulled")
    assert store.verify(ref).ok


@STATELESS
@given(position=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.booleans())
def test_no_bit_of_a_manifest_can_be_flipped(
    stored: tuple[Store, ArtifactRef], position: int, bit: int, cut: bool
) -> None:
    store, ref = stored
    with flipped(open_root(store.url), f"models/toy/manifests/{ref.artifact_id}.json", position, bit, cut):
        for load in (store.manifest, store.materialise):
            with pytest.raises((CorruptArtifactError, UnsafeArtifactError)):
                load(ref)
        assert not store.verify(ref).ok
        assert store.list() == []


def test_swapped_files_are_noticed(store: Store, ref: ArtifactRef, root: Root) -> None:
    one, two = blob(ref, store, "config.json"), blob(ref, store, "tokenizer.json")
    first, second = root.read(one), root.read(two)
    root.replace(one, second)
    root.replace(two, first)
    assert [problem.partition(":")[0] for problem in store.verify(ref).problems] == ["config.json", "tokenizer.json"]
    with pytest.raises(CorruptArtifactError, match=r"config\.json|tokenizer\.json"):
        store.materialise(ref)


def test_a_blob_without_end_is_not_downloaded(
    store: Store, ref: ArtifactRef, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = blob(ref, store, "model.safetensors")
    root.replace(path, bytes(10_000))
    downloaded: list[str] = []
    download = Root.download
    monkeypatch.setattr(
        Root, "download", lambda self, path, *given: downloaded.append(path) or download(self, path, *given)
    )
    with pytest.raises(CorruptArtifactError, match=r"model\.safetensors has 10000 bytes instead of 104"):
        store.materialise(ref)
    assert path not in downloaded


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return (Path.write_text, (self.target, "boom"))


def test_a_pickle_is_never_opened(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model()
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    with pytest.raises(UnsafeArtifactError, match=r"model\.safetensors: has a header of"):
        describe_folder(folder, "toy", Provenance())
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeArtifactError, match="can run code"):
        describe_folder(folder, "toy", Provenance())
    assert not (tmp_path / "boom").exists()


def test_a_pointer_of_git_lfs_is_named(make_model: MakeModel) -> None:
    folder = make_model()
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(UnsafeArtifactError, match=r"model\.safetensors: is a pointer of Git LFS, .*git lfs pull"):
        describe_folder(folder, "toy", Provenance())


def test_a_pickle_under_a_good_digest_is_never_opened(
    store: Store, ref: ArtifactRef, root: Root, tmp_path: Path
) -> None:
    evil = pickle.dumps(Bomb(tmp_path / "boom"))
    manifest = json.loads(store.manifest(ref).to_bytes())
    entry = next(file for file in manifest["files"] if file["path"] == "model.safetensors")
    entry |= {"sha256": sha256_hex(evil), "size": len(evil)}
    forged = canonical_json(manifest)
    root.create(f"blobs/sha256/{sha256_hex(evil)[:2]}/{sha256_hex(evil)}", evil)
    root.create(f"models/toy/manifests/{sha256_hex(forged)}.json", forged)
    with pytest.raises(UnsafeArtifactError, match=r"model\.safetensors: has a header of"):
        store.materialise(ArtifactKey(name="toy", artifact_id=sha256_hex(forged)))
    assert not (tmp_path / "boom").exists()


def test_the_size_of_files_is_checked_before_reading(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model()
    with (folder / "vocab.txt").open("wb") as stream:
        stream.truncate(65 << 30)  # a hole, which takes no space

    def read(self: Root, path: str) -> str:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(Root, "sha256", read)
    with pytest.raises(UnsafeArtifactError, match="more than 68719476736"):
        describe_folder(folder, "toy", Provenance())


@pytest.mark.parametrize("shard", ["../model-1-of-1.safetensors", "/etc/passwd", "..\\x.safetensors", "model.py"])
def test_an_index_names_only_shards_beside_it(make_model: MakeModel, shard: str) -> None:
    folder = make_model()
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"weight": shard}}))
    with pytest.raises(InputError, match="which is not one of its shards"):
        describe_folder(folder, "toy", Provenance())


def test_an_artifact_that_changes_after_its_lookup_is_not_loaded(make_model: MakeModel) -> None:
    folder = make_model()
    (ref,) = resolve(str(folder), "memory://none")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UnsafeArtifactError, match="adapter"):
        materialise(ref)
    (folder / "adapter_config.json").unlink()
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(NerbenchError, match="auto_map"):
        materialise(ref)


def test_code_in_a_model_folder_is_not_copied(make_model: MakeModel, store: Store) -> None:
    folder = make_model()
    for name in ("modeling_evil.py", "pytorch_model.bin", "training_args.bin", "kernel.so"):
        (folder / name).write_bytes(b"evil")
    loaded = store.materialise(store.publish(folder, "toy", Provenance()))
    assert sorted(path.name for path in loaded.iterdir()) == sorted(FILES)
    assert set(FILES) <= set(folders.SAFE_FILES)
