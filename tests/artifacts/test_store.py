"""The contract of stores: publish, list, verify, move aliases."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from damage import blob, flip
from fake_models import LABELS, MakeModel

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.garbage import find_garbage
from nerbench.artifacts.manifest import (
    PREDICTIONS_FILE,
    ArtifactKey,
    ArtifactRef,
    CorpusDigest,
    FileEntry,
    ImportSource,
    Manifest,
    Provenance,
    TaggerSource,
)
from nerbench.artifacts.references import resolve
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store import Store


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


def test_a_tampered_manifest_is_refused(store: Store, ref: ArtifactRef, root: Root) -> None:
    path = f"models/toy/manifests/{ref.artifact_id}.json"
    root.replace(path, root.read(path).replace(b'"B-PER"', b'"B-ORG"'))
    for read in (store.manifest, store.materialise, store.ref):
        with pytest.raises(CorruptArtifactError, match="does not have its digest"):
            read(ref)
    assert not store.verify(ref).ok


def test_a_manifest_under_another_name_is_refused(store: Store, ref: ArtifactRef, root: Root) -> None:
    root.create(f"models/other/manifests/{ref.artifact_id}.json", store.manifest(ref).to_bytes())
    with pytest.raises(CorruptArtifactError, match="manifest of toy"):
        store.manifest(ArtifactKey(name="other", artifact_id=ref.artifact_id))


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


def test_aliases_move_only_to_published_artifacts(store: Store, ref: ArtifactRef, make_model: MakeModel) -> None:
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


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_publishing_again_repairs_a_blob(
    store: Store, ref: ArtifactRef, make_model: MakeModel, root: Root, damage: str
) -> None:
    path = blob(ref, store, "model.safetensors")
    root.replace(path, root.read(path)[:-1]) if damage == "truncated" else flip(root, path)
    assert not store.verify(ref).ok
    store.publish(make_model("again"), "toy", Provenance())
    assert store.verify(ref).ok


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


def tagger_manifest(name: str = "spacy") -> Manifest:
    source = TaggerSource(adapter="my_taggers:spacy", sha256="a" * 64, versions={"spacy": "3.8.1"}, pinned=True)
    return Manifest(
        format_version=1,
        name=name,
        kind="tagger",
        files=(),
        labels=("O", "B-PERSON", "I-PERSON"),
        provenance=Provenance(),
        label_map={"PERSON": "PER"},
        tagger=source,
    )


def import_manifest(folder: Path) -> Manifest:
    folder.mkdir(exist_ok=True)
    (folder / PREDICTIONS_FILE).write_bytes(b"PAR1")
    corpus = CorpusDigest(dataset="toy", split="test", words_sha256="b" * 64, gold_sha256="c" * 64)
    return Manifest(
        format_version=1,
        name="vendor",
        kind="predictions",
        files=(FileEntry(path=PREDICTIONS_FILE, size=4, sha256=sha256_hex(b"PAR1")),),
        labels=("O", "B-PER"),
        provenance=Provenance(),
        imported=ImportSource(name="vendor.txt", sha256="d" * 64, format="conll", corpus=corpus),
    )


def test_a_tagger_is_an_artifact_without_files(store: Store, ref: ArtifactRef) -> None:
    tagger = store.publish_weightless(tagger_manifest())
    assert (tagger.kind, tagger.label_map, tagger.labels[0]) == ("tagger", {"PERSON": "PER"}, "O")
    assert store.aliases("spacy") == {"latest": tagger.artifact_id}
    assert store.manifest(tagger).tagger == tagger_manifest().tagger
    assert store.verify(tagger).ok
    assert {one.name: one.kind for one in store.list()} == {"toy": "model", "spacy": "tagger"}
    assert {one.name for one in resolve("*@latest", store.url)} == {"toy", "spacy"}
    with pytest.raises(InputError, match="model spacy: is a tagger without weights to load"):
        store.materialise(tagger)


def test_imported_predictions_are_stored_like_the_files_of_a_model(store: Store, tmp_path: Path, root: Root) -> None:
    found = store.publish_weightless(import_manifest(tmp_path / "made"), tmp_path / "made")
    assert store.verify(found).ok
    store.pull(found, tmp_path / "pulled")
    assert (tmp_path / "pulled" / PREDICTIONS_FILE).read_bytes() == b"PAR1"
    assert find_garbage(store, now=datetime.max.replace(tzinfo=UTC)) == []
    with pytest.raises(InputError, match="model vendor: is imported predictions without weights"):
        store.materialise(found)
    flip(root, blob(found, store, PREDICTIONS_FILE))
    assert not store.verify(found).ok


def test_identity_of_artifacts_without_weights(tmp_path: Path) -> None:
    tagger, renamed = tagger_manifest(), tagger_manifest("other")
    assert tagger.model_sha256 == renamed.model_sha256 != import_manifest(tmp_path).model_sha256
    assert tagger.model_copy(update={"label_map": {}}).model_sha256 == tagger.model_sha256
    assert tagger.tagger
    newer = tagger.tagger.model_copy(update={"versions": {"spacy": "3.9"}})
    assert tagger.model_copy(update={"tagger": newer}).model_sha256 != tagger.model_sha256


@pytest.mark.parametrize("kind", ["model", "predictions"])
def test_a_kind_has_its_own_parts(kind: str) -> None:
    document = json.loads(tagger_manifest().to_bytes()) | {"kind": kind}
    with pytest.raises(UnsafeArtifactError, match=f"not those of the kind {kind}"):
        Manifest.from_bytes(canonical_json(document))
