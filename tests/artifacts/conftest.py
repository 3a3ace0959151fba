"""Every contract runs on a local folder and on `memory://`."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from fake_models import MakeModel, save_fake_model
from fsspec.implementations.memory import MemoryFileSystem

from artifacts.store import Store


@pytest.fixture(params=["file", "memory"])
def root_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield str(tmp_path / "root")
        return
    name = uuid4().hex
    yield f"memory://{name}"
    for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{name}/")]:
        del MemoryFileSystem.store[path]


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
