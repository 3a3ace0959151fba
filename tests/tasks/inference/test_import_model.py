"""Import of models from folders, stores and the Hub."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.tasks.inference.import_model import import_model


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Store(str(tmp_path / "store"))


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("location", ["model", "./model", "{}", "file://{}"])
def test_a_folder(folder: Path, store: Store, location: str) -> None:
    ref = import_model(location.format(folder), "mine", store)
    manifest = store.manifest(ref)
    assert manifest.golden
    assert manifest.provenance.created_at
    assert store.verify(ref).ok


def test_a_folder_at_a_url(folder: Path, store: Store, tmp_path: Path) -> None:
    root = open_root(f"memory://{tmp_path.name}")
    for file in folder.iterdir():
        root.create(f"best/{file.name}", file.read_bytes())
    assert store.manifest(import_model(f"{root.url}/best", "mine", store)).golden


def test_a_model_of_the_hub_keeps_its_commit(
    folder: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerbench.artifacts.hub_models import HubSnapshot

    found = HubSnapshot("org/model", "c0ffee", folder)
    monkeypatch.setattr("nerbench.artifacts.hub_models.resolve", lambda model, revision: found.commit)
    monkeypatch.setattr("nerbench.artifacts.hub_models.snapshot", lambda location: found)
    base = store.manifest(import_model("hf://org/model@main", "mine", store)).provenance.base_model
    assert base is not None
    assert (base.name, base.revision) == ("org/model", "c0ffee")


def test_a_model_of_another_store_keeps_where_it_comes_from(folder: Path, store: Store, tmp_path: Path) -> None:
    elsewhere = Store(str(tmp_path / "elsewhere"))
    first = elsewhere.publish(folder, "theirs", Provenance(seed=5))
    manifest = store.manifest(import_model(first.uri, "mine", store))
    assert (manifest.name, manifest.provenance.seed) == ("mine", 5)
    before = elsewhere.manifest(first).provenance.created_at
    assert manifest.provenance.created_at
    assert before
    assert manifest.provenance.created_at > before


@pytest.mark.parametrize(
    ("id2label", "problem"),
    [
        ({"0": "LABEL_0", "1": "LABEL_1"}, "'LABEL_0' is not a meaningful name"),
        ({"0": "O", "1": "LABEL_1"}, "'LABEL_1' is not a meaningful name"),
        ({"0": "O", "1": " "}, "' ' is not a meaningful name"),
        ({"0": "O", "1": "O"}, "'O' is there twice"),
        (None, "are not named"),
    ],
)
def test_labels_must_have_names(folder: Path, store: Store, id2label: Any, problem: str) -> None:
    change_config(folder, id2label=id2label)
    with pytest.raises(InputError, match=rf"labels of \./model: {problem}; write their names into its config\.json"):
        import_model("./model", "mine", store)
    assert store.keys() == {}


def test_a_folder_that_cannot_be_loaded_is_not_published(folder: Path, store: Store) -> None:
    change_config(folder, num_hidden_layers=3)
    with pytest.raises(CorruptArtifactError, match="lacks weights"):
        import_model("model", "mine", store)
    assert store.keys() == {}
    assert store.manifest(import_model("model", "mine", store, check=False)).golden is None


def test_an_unsafe_folder_is_not_loaded(folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.inference.loading.load_tagger", None)
    change_config(folder, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(UnsafeArtifactError, match="auto_map"):
        import_model("model", "mine", store)
