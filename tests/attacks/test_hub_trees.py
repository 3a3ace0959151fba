"""Repositories of the Hub with hostile trees and cards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import use_hub
from hub_repo import Repo
from hub_server import FakeHub, Reply, running_hub

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.hub_models import snapshot
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.references import materialise
from nerbench.artifacts.store import Store
from nerbench.tasks.publishing.card import merge
from nerbench.tasks.publishing.hub import publish

pytestmark = pytest.mark.attacks
TO = "acme/tagger"
CARD = "---\ntags:\n- ner\n---\n\n<!-- nerbench:begin -->\n# ours\n<!-- nerbench:end -->\n"
MERGES = "\n".join(f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n  k{n}: x" for n in range(1, 12))
FRONT_MATTER = {
    "date": "a: 2026-13-45",
    "empty number": "a: !!int ''",
    "truth": "a: !!bool x",
    "time": "a: !!timestamp x",
    "nested": "a: " + "[" * 5000 + "]" * 5000,
    "merges": f"a0: &a0 {{x: y}}\n{MERGES}",
    "python": "a: !!python/object/apply:os.system [id]",
    "many": "a: [" + "x, " * 300_000 + "]",
    "line ends": "a: b\n" + "\n" * 500_000 + "x",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub with one model, `acme/tagger`, for the client in this process."""
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    with running_hub() as server:
        use_hub(monkeypatch, server, tmp_path / "home")
        yield server


@pytest.fixture
def ref(tmp_path: Path, tiny_model_folder: Path) -> ArtifactRef:
    return Store(str(tmp_path / "store")).publish(tiny_model_folder, "tagger", Provenance())


def hold(hub: FakeHub, ref: ArtifactRef, more: dict[str, bytes]) -> None:
    """Put a model and other files into the repository."""
    hub.repos[TO] = Repo(private=True)
    hub.repos[TO].commit({path.name: path.read_bytes() for path in materialise(ref).iterdir()} | more)


@pytest.mark.parametrize(
    "path", ["model-/../../../../../evil-of-1.safetensors", "model-x/y-of-1.safetensors", "model-\\..\\x-of-1.bin"]
)
def test_a_path_outside_of_the_folder_is_not_requested(
    hub: FakeHub, ref: ArtifactRef, tmp_path: Path, path: str
) -> None:
    hold(hub, ref, {path: b"evil"})
    found = snapshot(f"hf://{TO}")
    assert {one.name for one in found.folder.iterdir()} == {one.name for one in materialise(ref).iterdir()}
    assert not list(tmp_path.rglob("*evil*"))
    assert hub.count("-of-1") == 0


def test_names_that_differ_by_case_are_not_downloaded(hub: FakeHub, ref: ArtifactRef) -> None:
    hold(hub, ref, {"CONFIG.json": b"{", "Model.safetensors": b"x", "config.JSON": b"["})
    assert {one.name for one in snapshot(f"hf://{TO}").folder.iterdir()} == {
        one.name for one in materialise(ref).iterdir()
    }


def test_thousands_of_other_files_are_left_alone(hub: FakeHub, ref: ArtifactRef) -> None:
    hold(hub, ref, {f"data/{number}.txt": b"x" for number in range(20_000)})
    snapshot(f"hf://{TO}")
    done = publish(ref, CARD, TO, visibility=None, message=None)
    assert done.files == ("README.md",)
    assert hub.count("data/") == 0


def test_a_card_of_gigabytes_is_not_downloaded(hub: FakeHub, ref: ArtifactRef) -> None:
    hold(hub, ref, {"README.md": b"x"})

    listed = {"type": "file", "path": "README.md", "size": 10 << 30, "oid": "0" * 40}
    hub.faults.append(("GET /api/models/acme/tagger/tree/", lambda serve: Reply(body=[listed])))
    with pytest.raises(InputError, match=r"its README\.md has 10737418240 bytes, more than"):
        publish(ref, CARD, TO, visibility=None, message=None)
    assert hub.count("README.md") == 0


@pytest.mark.parametrize("name", FRONT_MATTER)
def test_metadata_of_a_stranger_is_read_or_replaced(name: str) -> None:
    merged = merge(CARD, f"---\n{FRONT_MATTER[name]}\n---\nText of a user.\n")
    assert merged.startswith("---\ntags:\n- ner\n---\n")
    assert "Text of a user." in merged


def test_many_line_ends_are_read_at_once() -> None:
    assert "# ours" in merge(CARD, "---\na: b\n" + "\n" * 500_000 + "x")
