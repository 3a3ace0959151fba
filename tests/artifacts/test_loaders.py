"""Loaders of nerbench, and the example of the documents, installed like another package."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_models import MakeModel

import nerbench
from nerbench.artifacts import loaders
from nerbench.artifacts.errors import ArtifactNotFoundError, InputError, NerbenchError, StoreUnreachableError
from nerbench.artifacts.references import load_manifest, materialise, resolve
from nerbench.artifacts.storage.filesystem import Root

ROOT = Path(__file__).resolve().parents[2]
USE = """
import json, logging, sys
logging.basicConfig(level=logging.WARNING)
from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.references import materialise, resolve_one
try:
    ref = resolve_one(sys.argv[1], "memory://none")
    folder = materialise(ref)
    print(json.dumps([ref.name, ref.uri, str(folder), sorted(path.name for path in folder.iterdir())]))
except NerbenchError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def install(folder: Path, name: str, entry_points: str, **modules: str) -> None:
    """Write the files that an installer leaves in site-packages."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nerbench.loaders]\n{entry_points}\n")
    for module, code in modules.items():
        (folder / f"{module}.py").write_text(code)


def use(location: str, site: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Resolve and load a model in a process that has other packages."""
    environment = {**os.environ, "PYTHONPATH": str(site), **environment}
    command = [sys.executable, "-c", USE, location]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def example() -> str:
    found = re.search(r"```python\n(.*?)```", (ROOT / "docs/reference/stores.md").read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install(tmp_path / "site", "shelf", "shelf = shelf:Shelf", shelf=example())
    return tmp_path / "site"


def test_the_documents_loader_brings_a_model(site: Path, tmp_path: Path, make_model: MakeModel, cache: Path) -> None:
    shelf = tmp_path / "shelf"
    for revision, value in (("1", 1.0), ("2", 2.0)):
        folder = make_model(revision, value=value)
        (folder / "modeling.py").write_text("raise SystemExit")
        (shelf / "tagger").mkdir(parents=True, exist_ok=True)
        folder.rename(shelf / "tagger" / revision)
    done = use("shelf://tagger", site, SHELF=str(shelf))
    assert done.returncode == 0, done.stderr
    name, uri, folder, files = json.loads(done.stdout)
    assert (name, uri) == ("2", "shelf://tagger/2")
    assert Path(folder).is_relative_to(cache)
    assert files == ["config.json", "model.safetensors", "tokenizer.json"]
    assert "shelf://… is loaded by shelf:Shelf of shelf 1.0" in done.stderr
    gone = use("shelf://tagger/3", site, SHELF=str(shelf))
    assert gone.returncode == 1
    assert "InputError: model 'shelf://tagger/3': shelf:Shelf of shelf 1.0 returned no folder" in gone.stderr


@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [
        ("odd = odd:No", "", "InputError: location odd://…: odd:No of odd 1.0 cannot be used (AttributeError: "),
        ("odd = odd:L", "class L: pass", "InputError: location odd://…: odd:L of odd 1.0 has no fetch and pin; derive"),
        (
            "hf = odd:L",
            "class L: pass",
            "InputError: location hf://…: is claimed by nerbench.artifacts.loaders:Hub",
        ),
    ],
)
def test_a_package_that_cannot_be_used_is_named(tmp_path: Path, entry: str, code: str, said: str) -> None:
    install(tmp_path / "site", "odd", entry, odd=code)
    done = use(f"{entry.partition(' ')[0]}://org/model", tmp_path / "site")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


class Own(nerbench.Loader):
    """A loader with an answer set by the test."""

    answer: Any = None

    def fetch(self, ref: str) -> Path:
        if isinstance(self.answer, Exception):
            raise self.answer
        found: Path = self.answer
        return found


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> type[Own]:
    """An installed loader of `own://`."""
    entry = EntryPoint("own", f"{__name__}:Own", loaders.GROUP)
    entry = entry._for(SimpleNamespace(name="mine", version="2"))  # type: ignore[attr-defined]
    honest = loaders.entry_points
    monkeypatch.setattr(loaders, "entry_points", lambda **asked: [entry] if asked["name"] == "own" else honest(**asked))
    monkeypatch.setattr(EntryPoint, "load", lambda one: Own)
    monkeypatch.setattr(Own, "answer", None)
    loaders._loader.cache_clear()
    yield Own
    loaders._loader.cache_clear()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (FileNotFoundError("no such shelf"), ArtifactNotFoundError, "of mine 2 finds no model there: no such shelf"),
        (TimeoutError("too slow"), StoreUnreachableError, "own://x: .*Own of mine 2 failed: too slow"),
        (KeyError("x"), NerbenchError, "own://x: .*Own of mine 2 failed: KeyError"),
        (Path("/nothing/here"), InputError, "returned no folder"),
    ],
)
def test_an_error_of_a_loader_names_it(own: type[Own], answer: Any, kind: type[Exception], said: str) -> None:
    own.answer = answer
    with pytest.raises(kind, match=said) as caught:
        resolve("own://x", "memory://none")
    assert type(caught.value) is kind


def test_a_model_that_changes_during_a_run_is_noticed(own: type[Own], make_model: MakeModel) -> None:
    own.answer = make_model("first")
    ref = resolve("own://x", "memory://none")[0]
    assert load_manifest(ref).artifact_id == ref.artifact_id
    own.answer = make_model("second", value=2.0)
    with pytest.raises(NerbenchError, match="has changed since it was looked up"):
        materialise(ref)


def test_an_installation_without_loaders_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "entry_points", lambda **asked: ())
    loaders._loader.cache_clear()
    with pytest.raises(InputError, match="does not name its own loaders; install it again"):
        resolve("hf://org/model", "memory://none")
    assert isinstance(loaders._loader("gs").loader, loaders.FolderLoader)
    loaders._loader.cache_clear()


def test_a_location_with_a_password_reaches_no_loader(own: type[Own]) -> None:
    own.answer = AssertionError()
    with pytest.raises(InputError, match="holds a credential") as caught:
        resolve("own://me:geheim@x/y", "memory://none")
    assert "geheim" not in str(caught.value)


def test_a_folder_is_fetched_whole_from_every_store(root: Root, make_model: MakeModel) -> None:
    folder = make_model()
    for file in folder.iterdir():
        root.create(f"runs/best/{file.name}", file.read_bytes())
    fetched = loaders.fetch(loaders.pin(f"{root.url}/runs/best"))
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }
    with pytest.raises(ArtifactNotFoundError, match="is not a folder with files"):
        loaders.fetch(f"{root.url}/runs/none")


def test_a_folder_of_checkpoints_suggests_the_newest(tmp_path: Path) -> None:
    for number, name in enumerate(("checkpoint-9", "checkpoint-10")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
        os.utime(tmp_path / name, (number, number))
    with pytest.raises(ArtifactNotFoundError, match=r"name the folder of a model, e\.g\. \S*/checkpoint-10$"):
        loaders.fetch(str(tmp_path))


def test_loaders_are_recognised_by_their_methods() -> None:
    class Duck:
        def fetch(self, ref: str) -> Path:
            return Path(ref)

        def pin(self, ref: str) -> str:
            return ref

    assert isinstance(Duck(), nerbench.Loader)
    assert not isinstance(object(), nerbench.Loader)
    with pytest.raises(TypeError, match="abstract"):
        type("Lazy", (nerbench.Loader,), {})()
