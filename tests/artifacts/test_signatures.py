"""Signatures: what they cover, what is refused, and that they follow their artifact."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_models import MakeModel, Pair, write_key_pair

from nerbench.artifacts.archive import read_archive, write_archive
from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.garbage import find_foreign, find_garbage, remove_garbage
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.signatures import TRUSTED_KEYS, public_key, sign
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import signature_paths


@pytest.fixture
def alice(tmp_path: Path) -> Pair:
    return write_key_pair(tmp_path, "alice")


@pytest.fixture
def mallory(tmp_path: Path) -> Pair:
    return write_key_pair(tmp_path, "mallory")


def test_a_signed_artifact_is_loaded_and_an_unsigned_one_is_not(
    store: Store, ref: ArtifactRef, root: Root, alice: Pair, mallory: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TRUSTED_KEYS, str(alice[1]))
    sign(root, ref, mallory[0])
    for load in (store.materialise, lambda key: store.pull(key, alice[0].parent / "pulled")):
        with pytest.raises(UnsafeArtifactError, match="no valid signature"):
            load(ref)
    assert not (alice[0].parent / "pulled").exists()
    sign(root, ref, alice[0])
    sign(root, ref, alice[0])
    assert store.materialise(ref).is_dir()
    assert len(signature_paths(root, ref)) == 2
    monkeypatch.setenv(TRUSTED_KEYS, f"{alice[1]}, {mallory[1]}")
    assert store.materialise(ref).is_dir()


def test_a_list_of_no_keys_trusts_none(store: Store, ref: ArtifactRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRUSTED_KEYS, " , ")
    with pytest.raises(UnsafeArtifactError, match="no valid signature"):
        store.materialise(ref)


def test_verify_asks_for_a_key(store: Store, ref: ArtifactRef, root: Root, alice: Pair, mallory: Pair) -> None:
    sign(root, ref, alice[0])
    assert store.verify(ref, alice[1]).ok
    refused = store.verify(ref, mallory[1])
    assert (refused.ok, refused.files) == (False, 3)
    assert "no valid signature of the key" in refused.problems[0]


def test_a_signature_of_another_artifact_or_a_changed_one_does_not_count(
    store: Store, ref: ArtifactRef, root: Root, make_model: MakeModel, alice: Pair
) -> None:
    other = store.publish(make_model("other", value=9.0), "toy", Provenance())
    sign(root, other, alice[0])
    (path,) = signature_paths(root, other)
    data = root.read(path)
    root.create(path.replace(other.artifact_id, ref.artifact_id), data)
    assert not store.verify(ref, alice[1]).ok
    with pytest.raises(CorruptArtifactError, match="damaged"):
        sign(root, ref, alice[0])
    for changed in (data[:-20], data.replace(b'"signature":"', b'"signature":"0'), b"", b"{}", b"[" * 3000):
        root.replace(path, changed)
        assert not store.verify(other, alice[1]).ok


def test_signatures_go_with_their_artifact(
    store: Store, ref: ArtifactRef, root: Root, make_model: MakeModel, alice: Pair
) -> None:
    store.publish(make_model("newer", value=9.0), "toy", Provenance())
    sign(root, ref, alice[0])
    assert find_foreign(store) == []
    later = datetime.now(UTC) + timedelta(days=30)
    assert find_garbage(store, now=later) == []
    found = find_garbage(store, now=later, unaliased=timedelta(days=8))
    assert "signature" in {one.kind for one in found}
    remove_garbage(store, found)
    assert signature_paths(root, ref) == []
    assert find_garbage(store, now=later) == []


def test_an_archive_has_the_signatures(store: Store, ref: ArtifactRef, root: Root, alice: Pair, tmp_path: Path) -> None:
    sign(root, ref, alice[0])
    write_archive(store, [ref], tmp_path / "signed.tar")
    target = Store(str(tmp_path / "target"))
    read_archive(target, tmp_path / "signed.tar")
    assert target.verify(ref, alice[1]).ok
    damaged = (tmp_path / "signed.tar").read_bytes().replace(b'"signature":"', b'"signature":"g')
    (tmp_path / "damaged.tar").write_bytes(damaged)
    with pytest.raises(CorruptArtifactError):
        read_archive(Store(str(tmp_path / "other")), tmp_path / "damaged.tar")


def test_only_ed25519_keys_are_taken(ref: ArtifactRef, root: Root, alice: Pair, tmp_path: Path) -> None:
    curve = tmp_path / "curve.pem"
    other = generate_private_key(SECP256R1())
    curve.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for path in (curve, alice[1]):
        with pytest.raises(InputError, match="not an Ed25519 private key") as refused:
            sign(root, ref, path)
        assert refused.value.__cause__ is None
    for path in (curve, alice[0]):
        with pytest.raises(InputError, match="not an Ed25519 public key"):
            public_key(path)
    for read in (public_key, lambda path: sign(root, ref, path)):
        with pytest.raises(InputError, match=r"missing\.pem: cannot be read \(No such file or directory\)"):
            read(tmp_path / "missing.pem")
