"""A trained model in a store, and a Hub to publish it on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import use_hub
from hub_server import FakeHub, running_hub
from publishing_rows import TRAINED

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(store=str(tmp_path / "store"), results=str(tmp_path / "results"))


@pytest.fixture
def ref(config: Config, tiny_model_folder: Path) -> ArtifactRef:
    """The model `tagger`, with entities of two types."""
    return Store(config.store).publish(tiny_model_folder, "tagger", TRAINED)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with running_hub() as found:
        yield found


@pytest.fixture
def hub(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """An empty Hub for the client in this process, with a token."""
    for state in (server.repos, server.blobs, server.requests, server.faults, server.tampered):
        state.clear()
    use_hub(monkeypatch, server, tmp_path / "home")
    return server
