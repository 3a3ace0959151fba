"""Every contract runs on a local folder, on `memory://` and on `s3://`."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from fake_models import MakeModel, save_fake_model
from fsspec.implementations.memory import MemoryFileSystem
from s3_server import running_s3

from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    with running_s3() as url:
        yield url


@pytest.fixture
def s3_url(bucket: str) -> str:
    """A prefix that no other test uses."""
    return f"{bucket}/{uuid4().hex}"


@pytest.fixture
def memory_url() -> Iterator[str]:
    name = uuid4().hex
    yield f"memory://{name}"
    for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{name}/")]:
        del MemoryFileSystem.store[path]


@pytest.fixture(params=["file", "memory", "s3"])
def root_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return str(tmp_path / "root")
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts in seconds; tests do not wait."""
    seconds: list[float] = []
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", seconds.append)
    return seconds


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    def make(name: str = "model", *, value: float = 1.0, numbers: int = 8, **config: object) -> Path:
        return save_fake_model(tmp_path / "folders" / name, value, numbers, config)

    return make


@pytest.fixture
def store(root_url: str) -> Store:
    return Store(root_url)


@pytest.fixture
def root(root_url: str) -> Root:
    return open_root(root_url)


@pytest.fixture
def ref(store: Store, make_model: MakeModel) -> ArtifactRef:
    """The model `toy`, trained with seed 7."""
    return store.publish(make_model("toy"), "toy", Provenance(seed=7))
