"""An HTTP server as a read-only store: a missing answer does not mean an empty store."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from fake_models import MakeModel

from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store

DEAD = "http://127.0.0.1:9/x"


class _Handler(SimpleHTTPRequestHandler):
    broken = ""
    """A path with the answer 500."""

    def send_head(self) -> object:  # type: ignore[override]
        if self.broken and self.path.startswith(self.broken):
            self.send_error(500)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path, make_model: MakeModel) -> ArtifactRef:
    return Store(str(tmp_path / "served")).publish(make_model(), "toy", Provenance())


@pytest.fixture
def url(tmp_path: Path, published: ArtifactRef) -> Iterator[str]:
    """The URL of a store that is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path / "served"))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_served_files_are_found(url: str, published: ArtifactRef) -> None:
    store = Store(url)
    assert [one.artifact_id for one in store.list()] == [published.artifact_id]
    assert store.verify(published).ok
    assert open_root(f"{url}/nothing").files(recursive=True) == []
    assert not open_root(url).exists("nothing")


OPERATIONS: list[Callable[[Root], object]] = [
    lambda root: root.files(),
    lambda root: root.files(recursive=True),
    lambda root: root.inventory("models"),
    lambda root: root.exists("models/toy/aliases/latest.json"),
    lambda root: root.read("models/toy/aliases/latest.json"),
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_without_an_answer_is_not_an_empty_store(operation: Callable[[Root], object]) -> None:
    with pytest.raises(StoreUnreachableError, match=f"^{DEAD} cannot be reached; the last of 3 attempts failed with"):
        operation(open_root(DEAD))


@pytest.mark.parametrize("broken", ["/models/toy", "/models/toy/aliases"])
@pytest.mark.parametrize("operation", OPERATIONS[1:])
def test_a_refused_folder_is_not_an_empty_folder(
    url: str, operation: Callable[[Root], object], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Handler, "broken", broken)
    with pytest.raises(StoreUnreachableError, match="500"):
        operation(open_root(url))


def test_nothing_can_be_written(url: str) -> None:
    with pytest.raises(InputError, match=f"location {url}: "):
        open_root(url).create("a", b"1")
