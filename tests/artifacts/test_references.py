"""References to models, and the errors of references without a match."""

from pathlib import Path

import pytest
from fake_models import LABELS, MakeModel

from nerbench.artifacts import references
from nerbench.artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.references import load_manifest, materialise, pull, resolve
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store


@pytest.fixture
def published(store: Store, make_model: MakeModel) -> dict[str, ArtifactRef]:
    refs = {
        "old": store.publish(make_model("f1"), "toy", Provenance()),
        "new": store.publish(make_model("f2", value=2.0), "toy", Provenance()),
        "other": store.publish(make_model("f3", value=3.0), "other", Provenance()),
    }
    store.set_alias("toy", "champion", refs["old"].artifact_id)
    return refs


def test_names(store: Store, published: dict[str, ArtifactRef]) -> None:
    old, new, other = published["old"], published["new"], published["other"]
    for reference, expected in {
        "toy": [new],
        "toy@latest": [new],
        "toy@champion": [old],
        f"toy@sha256:{old.artifact_id}": [old],
        f"toy@sha256:{old.artifact_id[:8]}": [old],
        "*": [other, new],
        "*@latest": [other, new],
        "*@champion": [old],
        old.uri: [old],
    }.items():
        assert resolve(reference, store.url) == expected, reference


def test_a_manifest_of_another_store(published: dict[str, ArtifactRef]) -> None:
    ref = resolve(published["old"].uri, "memory://somewhere-else")[0]
    assert load_manifest(ref).artifact_id == published["old"].artifact_id
    assert (materialise(ref) / "config.json").exists()


def test_references_without_a_match(store: Store, published: dict[str, ArtifactRef]) -> None:
    for reference, message in {
        "nobody": "model 'nobody': is not in the store .*it holds other, toy; ",
        "nobody@latest": "it holds other, toy",
        "toy@unknown": "no such alias; toy has champion, latest",
        "*@unknown": "no model of the store",
        "toy@sha256:00000000": "toy has no artifact with that digest",
        "": "is not in the store",
        "..": "is not in the store",
        "./nothing/here": "is not a folder with files",
    }.items():
        with pytest.raises(ArtifactNotFoundError, match=message):
            resolve(reference, store.url)


def test_digests_must_be_plain_and_unique(store: Store, published: dict[str, ArtifactRef]) -> None:
    for reference in ("toy@sha256:1234567", "toy@sha256:NOTHEX00"):
        with pytest.raises(InputError, match="is not a digest"):
            resolve(reference, store.url)
    ids = ["12345678" + "a" * 56, "12345678" + "b" * 56]
    with pytest.raises(InputError, match="is the beginning of 2 digests"):
        references._by_digest("toy@sha256:12345678", "toy", ids, "12345678")


def test_an_empty_store_says_so(root_url: str) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"it holds nothing; .*nerbench train"):
        resolve("toy", root_url)
    with pytest.raises(ArtifactNotFoundError, match="holds nothing"):
        resolve("*@latest", root_url)


def test_an_error_mentions_a_folder_with_the_same_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactNotFoundError, match=r"write \./mine"):
        resolve("mine", store.url)


def test_a_folder_is_used_without_a_copy(store: Store, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_model("my model")
    monkeypatch.chdir(folder.parent)
    ref = resolve("./my model", store.url)[0]
    assert (ref.name, ref.labels, ref.folder, ref.store) == ("my-model", LABELS, str(folder), None)
    assert resolve(str(folder), store.url) == resolve(f"file://{folder}/", store.url) == [ref]
    assert materialise(ref) == folder
    assert load_manifest(ref).provenance.created_at is None
    (folder / "config.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match="has changed since"):
        materialise(ref)


def test_a_folder_has_the_identity_of_its_publication(
    store: Store, published: dict[str, ArtifactRef], tmp_path: Path
) -> None:
    pull(published["old"], tmp_path / "pulled")
    assert resolve(str(tmp_path / "pulled"), store.url)[0].model_sha256 == published["old"].model_sha256


def test_a_folder_at_a_url(make_model: MakeModel, tmp_path: Path) -> None:
    folder = make_model()
    root = open_root(f"memory://{tmp_path.name}")
    for file in folder.iterdir():
        root.create(f"runs/best/{file.name}", file.read_bytes())
    ref = resolve(f"{root.url}/runs/best", "memory://empty")[0]
    assert ref.name == "best"
    assert (materialise(ref) / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    pull(ref, tmp_path / "pulled")
    assert (tmp_path / "pulled/manifest.json").exists()
    root.replace("runs/best/tokenizer.json", b"[]")
    with pytest.raises(CorruptArtifactError, match="has changed"):
        materialise(ref)


def test_verify_by_reference(store: Store, published: dict[str, ArtifactRef], make_model: MakeModel) -> None:
    assert [found.ok for found in references.verify("*@latest", store.url)] == [True, True]
    open_root(store.url).replace(published["old"].uri.removeprefix(f"{store.url}/"), b"{}")
    broken = references.verify("toy@champion", store.url)[0]
    assert (broken.ok, broken.files) == (False, 0)
    assert "does not have its digest" in broken.problems[0]
    with pytest.raises(InputError, match="no manifest"):
        references.verify(str(make_model("folder")), store.url)
