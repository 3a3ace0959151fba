"""A cache that another user made first could exchange files between their check and their use."""

import os
from pathlib import Path

import pytest

from nerbench.artifacts.cache_pruning import local_models
from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.tasks.run_identity import utc_now

pytestmark = pytest.mark.attacks
STRANGER = 65_534


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def materialise(model: Path, store: Path) -> Path:
    there = Store(str(store))
    return there.materialise(there.publish(model, "toy", Provenance()))


@pytest.mark.parametrize("name", [".", "blobs", "snapshots", "temporary", "leases"])
def test_a_folder_that_all_may_write_to(name: str, tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    (cache / name).mkdir(parents=True)
    (cache / name).chmod(0o1777)
    with pytest.raises(InputError, match="can be changed by other users"):
        materialise(tiny_model_folder, tmp_path / "store")


@pytest.mark.parametrize("name", [".", "blobs"])
@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_a_stranger(name: str, tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    (cache / name).mkdir(parents=True)
    os.chown(cache / name, STRANGER, STRANGER)
    with pytest.raises(InputError, match="can be changed by other users"):
        materialise(tiny_model_folder, tmp_path / "store")


def test_a_link_to_the_folder_of_a_stranger(tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o777)
    (tmp_path / "theirs").chmod(0o777)
    cache.symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match="can be changed by other users"):
        materialise(tiny_model_folder, tmp_path / "store")
    assert not list((tmp_path / "theirs").iterdir())


def test_a_blob_that_links_elsewhere_is_fetched_again(tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    snapshot = materialise(tiny_model_folder, tmp_path / "store")
    secret = tmp_path / "secret"
    secret.write_text("untouched")
    for blob in (cache / "blobs").iterdir():
        blob.unlink()
        blob.symlink_to(secret)
    assert materialise(tiny_model_folder, tmp_path / "store") == snapshot
    assert secret.read_text() == "untouched"
    assert not any(blob.is_symlink() for blob in (cache / "blobs").iterdir())


def test_a_link_among_the_snapshots_is_not_pruned(tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    materialise(tiny_model_folder, tmp_path / "store")
    (tmp_path / "precious").mkdir()
    (cache / "snapshots" / ("0" * 64)).symlink_to(tmp_path / "precious")
    assert len([one for one in local_models(cache, utc_now()) if one.name.startswith("snapshots/")]) == 1


@pytest.mark.legitimate
def test_a_group_may_share_a_cache(tiny_model_folder: Path, cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    cache.chmod(0o2775)
    assert materialise(tiny_model_folder, tmp_path / "store").is_dir()
