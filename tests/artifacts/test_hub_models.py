"""Models of the Hub: a revision is resolved once, and only bytes with the Hub's digest are accepted."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_models import MakeModel
from hub_client import use_hub
from hub_repo import Repo
from hub_server import FakeHub, Reply, running_hub

from nerbench.artifacts import hub_models as reading
from nerbench.artifacts.errors import (
    ArtifactNotFoundError,
    CorruptArtifactError,
    InputError,
    StoreUnreachableError,
    UnsafeArtifactError,
)
from nerbench.artifacts.references import load_manifest, materialise, resolve

MODEL = "org/model"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with running_hub() as found:
        yield found


@pytest.fixture
def hub(server: FakeHub, make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A Hub with one model and files that must not be downloaded."""
    for state in (server.repos, server.requests, server.faults, server.tampered):
        state.clear()
    use_hub(monkeypatch, server, tmp_path / "home")
    repo = server.repos[MODEL] = Repo(private=True)
    repo.commit({path.name: path.read_bytes() for path in make_model("first").iterdir()})
    repo.commit(repo.files | {"README.md": b"# hello", "pytorch_model.bin": b"pickle", "modeling.py": b"import os"})
    return server


def cached(hub: FakeHub, tmp_path: Path, path: str) -> Path:
    """The path of a file of the newest commit in the client's cache."""
    return tmp_path / "home/hub/models--org--model/snapshots" / hub.repos[MODEL].head / path


def test_a_revision_is_a_commit_once(hub: FakeHub) -> None:
    before, after = hub.repos[MODEL].commits
    ref = resolve(f"hf://{MODEL}", "memory://empty")[0]
    assert (ref.name, ref.uri, ref.folder) == (MODEL, f"hf://{MODEL}@{after}", f"hf://{MODEL}@{after}")
    asked = hub.count("GET /api/models/org/model")
    hub.repos[MODEL].commit({"config.json": b"{}"})
    folder = materialise(ref)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert hub.count("GET /api/models/org/model") == asked
    base = load_manifest(ref).provenance.base_model
    assert base is not None
    assert (base.name, base.revision) == (MODEL, after)
    older = resolve(f"hf://{MODEL}@{before}", "memory://empty")[0]
    assert older.uri.endswith(before)
    assert older.model_sha256 == ref.model_sha256


def test_a_branch_that_moves_during_a_run(hub: FakeHub) -> None:
    repo = hub.repos[MODEL]
    seen = repo.head

    def move(serve: Callable[[], Reply]) -> Reply:
        repo.commit(repo.files | {"tokenizer.json": b"[]"})
        return serve()

    hub.faults.append(("GET /api/models/org/model/tree", move))
    ref = resolve(f"hf://{MODEL}", "memory://empty")[0]
    assert ref.uri.endswith(seen)
    assert (materialise(ref) / "tokenizer.json").read_bytes() == repo.commits[seen]["tokenizer.json"] != b"[]"


def test_foreign_files_in_the_hub_cache_are_not_loaded(hub: FakeHub, cache: Path, tmp_path: Path) -> None:
    ref = resolve(f"hf://{MODEL}", "memory://empty")[0]
    cached(hub, tmp_path, "generation_config.json").write_text("{}")
    folder = materialise(ref)
    assert folder.is_relative_to(cache)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_only_safe_files_are_downloaded(hub: FakeHub) -> None:
    resolve(f"hf://{MODEL}", "memory://empty")
    assert hub.count(r"GET .*/resolve/.*/model.safetensors") == 1
    assert not hub.count(r"resolve/.*(bin|py|md)$")


@pytest.mark.parametrize("path", ["model.safetensors", "tokenizer.json"])
def test_a_damaged_copy_is_fetched_again(
    hub: FakeHub, tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    ref = resolve(f"hf://{MODEL}", "memory://empty")[0]
    copy = cached(hub, tmp_path, path)
    copy.resolve().write_bytes(copy.read_bytes()[:-1] + b"\0")
    with caplog.at_level(logging.WARNING):
        assert resolve(f"hf://{MODEL}", "memory://empty") == [ref]
    assert f"the local copy of {path} is damaged" in caplog.text
    assert copy.read_bytes() == hub.repos[MODEL].files[path]


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_bytes_with_another_digest_are_refused(hub: FakeHub, path: str) -> None:
    hub.tampered[path] = hub.repos[MODEL].files[path][:-1] + b" "
    with pytest.raises(CorruptArtifactError, match=f"{path} differs from the Hub's digest"):
        resolve(f"hf://{MODEL}", "memory://empty")


def test_a_large_repository_is_refused_before_the_download(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(UnsafeArtifactError, match="more than 200 or 100"):
        resolve(f"hf://{MODEL}", "memory://empty")
    assert not hub.count("/resolve/")


def test_downloaded_files_are_found_and_checked_offline(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = resolve(f"hf://{MODEL}", "memory://empty")[0]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert resolve(f"hf://{MODEL}", "memory://empty") == [ref]
    with pytest.raises(ArtifactNotFoundError, match="HF_HUB_OFFLINE is set"):
        resolve("hf://org/other", "memory://empty")
    copy = cached(hub, tmp_path, "config.json").resolve()
    copy.write_bytes(json.dumps(json.loads(copy.read_bytes()) | {"x": 1}).encode())
    with pytest.raises(CorruptArtifactError, match=r"config.json is damaged, and HF_HUB_OFFLINE is set"):
        resolve(f"hf://{MODEL}", "memory://empty")
    assert len(hub.requests) == asked


def test_a_busy_hub_gets_another_request(hub: FakeHub) -> None:
    hub.fail("GET /api/models/org/model$", 503)
    hub.fail("GET /api/models/org/model/tree", 502)
    hub.fail("GET /.*/resolve/.*config.json", 503)
    assert resolve(f"hf://{MODEL}", "memory://empty")[0].name == MODEL
    assert not hub.faults


def test_a_hub_that_never_answers(hub: FakeHub) -> None:
    for _ in range(3):
        hub.fail("GET /api/models/org/model$", 503)
    with pytest.raises(StoreUnreachableError, match="hf://org/model cannot be reached; the last of 3"):
        resolve(f"hf://{MODEL}", "memory://empty")


@pytest.mark.parametrize("location", ["hf://org/none", "hf://org/model@v9", "hf://org/a..b", f"hf://a--b/c@{40 * 'a'}"])
def test_missing_repositories_and_revisions(hub: FakeHub, location: str) -> None:
    with pytest.raises(ArtifactNotFoundError, match="cannot be had from the Hub"):
        resolve(location, "memory://empty")


def test_a_private_model_needs_a_token(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, hub, tmp_path / "stranger", token=None)
    with pytest.raises(ArtifactNotFoundError, match="hf auth login"):
        resolve(f"hf://{MODEL}", "memory://empty")


@pytest.mark.parametrize("location", ["hf://", "hf://a/b/c", "hf://a/b@", "hf://a/b@c@d"])
def test_invalid_locations(location: str) -> None:
    with pytest.raises(InputError, match="write hf://org/model"):
        reading.parse(location)
