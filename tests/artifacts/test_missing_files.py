"""Whether a store still has every file that its manifests name."""

from pathlib import Path

import pytest

from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.missing_files import find_incomplete
from nerbench.artifacts.references import resolve_one
from nerbench.artifacts.store import Store


@pytest.fixture
def published(tiny_model_folder: Path, tmp_path: Path) -> ArtifactRef:
    return Store(str(tmp_path / "store")).publish(tiny_model_folder, "tiny", Provenance())


def blob_of(published: ArtifactRef, name: str) -> Path:
    assert published.store is not None
    (entry,) = (entry for entry in Store(published.store).manifest(published).files if entry.path == name)
    return Path(published.store, "blobs", "sha256", entry.sha256[:2], entry.sha256)


def test_a_complete_artifact_has_no_problem(published: ArtifactRef) -> None:
    assert find_incomplete([published]) == {}


def test_every_missing_file_is_named_with_its_place(published: ArtifactRef) -> None:
    places = [blob_of(published, name) for name in ("config.json", "model.safetensors")]
    for place in places:
        place.unlink()
    assert find_incomplete([published]) == {
        published.artifact_id: f"config.json is missing: {places[0]}; model.safetensors is missing: {places[1]}"
    }


def test_a_file_of_another_size_is_named(published: ArtifactRef) -> None:
    place = blob_of(published, "model.safetensors")
    size = place.stat().st_size
    place.write_bytes(place.read_bytes()[:-1])
    problem = f"model.safetensors has {size - 1} bytes instead of {size}: {place}"
    assert find_incomplete([published]) == {published.artifact_id: problem}


def test_a_missing_manifest_is_a_problem(published: ArtifactRef) -> None:
    Path(published.uri).unlink()
    assert "is not in the store" in find_incomplete([published])[published.artifact_id]


def test_a_folder_is_left_out(tiny_model_folder: Path, tmp_path: Path) -> None:
    assert find_incomplete([resolve_one(str(tiny_model_folder), str(tmp_path))]) == {}
