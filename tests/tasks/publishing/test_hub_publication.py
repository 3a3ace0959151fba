"""Publishing with the Hub's real client against a fake Hub: one commit or none for every failure."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hub_client import use_hub
from hub_repo import Repo, git_digest
from hub_server import FakeHub, Reply

from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.references import materialise, resolve_one
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config
from nerbench.tasks.publishing.card import render_card
from nerbench.tasks.publishing.hub import check_request, publish

TO = "acme/tagger"
CARD = "---\nlibrary_name: transformers\ntags:\n- ner\n---\n\n<!-- nerbench:begin -->\n# {}\n<!-- nerbench:end -->\n"
COMMIT = "POST /api/models/acme/tagger/commit/main"


def put(ref: ArtifactRef, card: str = CARD, *, message: str | None = None) -> tuple[bool, str]:
    """Publish; return whether the commit is new, and its digest."""
    done = publish(ref, card, TO, visibility=None, message=message)
    assert (done.repository, done.url.rpartition("//")[2].partition("/")[2]) == (TO, TO)
    return done.changed, done.commit


def files_of(ref: ArtifactRef) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in materialise(ref).iterdir()}


@pytest.fixture
def other(config: Config, ref: ArtifactRef, tmp_path: Path, tiny_model_folder: Path) -> ArtifactRef:
    """The same model with another tokenizer setting and the same files."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "other")
    (folder / "tokenizer_config.json").write_text((folder / "tokenizer_config.json").read_text() + "\n")
    return Store(config.store).publish(folder, "tagger", Provenance())


def test_the_first_time_a_private_repository_is_made(hub: FakeHub, ref: ArtifactRef) -> None:
    assert put(ref) == (True, hub.repos[TO].head)
    assert hub.repos[TO].private
    assert hub.repos[TO].files == files_of(ref) | {
        "README.md": CARD.encode(),
        ".gitattributes": b"*.safetensors filter=lfs\n",
    }
    assert hub.count(COMMIT) == 1


def test_equal_content_makes_no_commit(hub: FakeHub, ref: ArtifactRef) -> None:
    _, commit = put(ref)
    assert put(ref) == (False, commit)
    assert hub.count("POST .*/commit/") == 1


def test_evaluation_results_are_written_and_removed_with_the_model(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.repos[TO] = Repo(private=True)
    hub.repos[TO].commit({".eval_results/theirs.yaml": b"[]"})
    for results in ("- first\n", "- second\n", "- second\n", None):
        publish(ref, CARD, TO, visibility=None, message=None, eval_results=results)
        found = {name: data for name, data in hub.repos[TO].files.items() if name.startswith(".eval_results/")}
        ours = {".eval_results/nerbench.yaml": results.encode()} if results else {}
        assert found == {".eval_results/theirs.yaml": b"[]"} | ours
    assert hub.count(COMMIT) == 3


def test_a_public_repository_must_be_requested(hub: FakeHub, ref: ArtifactRef) -> None:
    assert not publish(ref, CARD, TO, visibility="public", message=None).private
    assert not hub.repos[TO].private
    changed = CARD.replace("# {}", "# other")
    with pytest.raises(
        InputError, match="is public; add --visibility public to publish there, or --visibility private"
    ):
        put(ref, changed)
    assert len(hub.repos[TO].commits) == 2
    assert not publish(ref, changed, TO, visibility="keep", message=None).private
    assert len(hub.repos[TO].commits) == 3


def test_a_repository_is_made_public_or_private_later(hub: FakeHub, ref: ArtifactRef) -> None:
    put(ref)
    hub.fail("PUT .*/settings", 503)
    shown = publish(ref, CARD, TO, visibility="public", message=None)
    assert (shown.changed, shown.private, hub.repos[TO].private) == (False, False, False)
    hidden = publish(ref, CARD.replace("# {}", "# other"), TO, visibility="private", message=None)
    assert (hidden.changed, hidden.private, hub.repos[TO].private) == (True, True, True)
    settings, commit = (
        max(n for n, (method, path) in enumerate(hub.requests) if method == way and path.endswith(end))
        for way, end in (("PUT", "/settings"), ("POST", "/commit/main"))
    )
    assert settings < commit, "what is to be private is hidden before it is changed"
    kept = publish(ref, CARD, TO, visibility="keep", message=None)
    assert (kept.private, hub.repos[TO].private) == (True, True)
    hub.fail("PUT .*/settings", 403)
    with pytest.raises(InputError, match=r"the Hub refuses it \(status 403\)"):
        publish(ref, CARD, TO, visibility="public", message=None)
    assert hub.repos[TO].private


def test_it_comes_back_as_the_same_model(hub: FakeHub, ref: ArtifactRef, config: Config) -> None:
    _, commit = put(ref, render_card(ref, config, TO).text)
    back = resolve_one(f"hf://{TO}", config.store)
    assert back.uri == f"hf://{TO}@{commit}"
    assert (back.model_sha256, back.labels) == (ref.model_sha256, ref.labels)
    assert files_of(back) == files_of(ref)


def test_changed_files_are_sent_and_stale_files_are_removed(hub: FakeHub, ref: ArtifactRef, other: ArtifactRef) -> None:
    put(ref)
    repo = hub.repos[TO]
    repo.commit(repo.files | {"vocab.txt": b"stale", "model-00001-of-00002.safetensors": b"x", "notes.txt": b"mine"})
    changed = publish(other, CARD, TO, visibility=None, message="Again")
    assert changed.files == ("model-00001-of-00002.safetensors", "tokenizer_config.json", "vocab.txt")
    assert repo.files == files_of(other) | {
        "README.md": CARD.encode(),
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "notes.txt": b"mine",
    }
    assert resolve_one(f"hf://{TO}", "memory://").model_sha256 == other.model_sha256
    assert hub.count("PUT /uploads") == 1


def test_sections_of_a_user_stay(hub: FakeHub, ref: ArtifactRef) -> None:
    put(ref)
    repo = hub.repos[TO]
    edited = repo.files["README.md"].decode().replace("tags:", "license: mit\ntags:") + "\n## Contact\n\nAda\n"
    repo.commit(repo.files | {"README.md": edited.encode()})
    assert put(ref) == (False, repo.head)
    put(ref, CARD.format("new"))
    now = repo.files["README.md"].decode()
    assert now.endswith("# new\n<!-- nerbench:end -->\n\n## Contact\n\nAda\n")
    assert yaml.safe_load(now.split("---\n")[1])["license"] == "mit"


def another_writer(hub: FakeHub) -> Callable[[Callable[[], Reply]], Reply]:
    """Another client commits after the head was read and before the commit."""

    def serve(ours: Callable[[], Reply]) -> Reply:
        repo = hub.repos[TO]
        repo.commit(repo.files | {f"note{len(repo.commits)}.txt": b"theirs"})
        return ours()

    return serve


def test_a_head_that_moves_is_read_again(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.faults.append((COMMIT, another_writer(hub)))
    hub.fail(COMMIT, 409)
    assert put(ref) == (True, hub.repos[TO].head)
    assert hub.repos[TO].files["note1.txt"] == b"theirs"
    assert hub.count(COMMIT) == 3
    assert hub.count("PUT /uploads") == 1


def test_a_head_that_always_moves(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.faults += [(COMMIT, another_writer(hub))] * 3
    with pytest.raises(ConflictError, match="others committed first; publish again"):
        put(ref)
    assert "model.safetensors" not in hub.repos[TO].files


def test_a_commit_with_a_lost_reply_is_found(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.lose_reply(COMMIT)
    assert put(ref) == (True, hub.repos[TO].head)
    assert len(hub.repos[TO].commits) == 2
    assert hub.count(COMMIT) == 1


REQUESTS = [
    "GET /api/models/acme/tagger$",
    "POST /api/repos/create",
    "GET /api/models/acme/tagger/tree/",
    "POST /api/validate-yaml",
    "POST .*/preupload/",
    "POST .*/objects/batch",
    "PUT /uploads/",
    COMMIT,
]


@pytest.mark.parametrize("request_of", REQUESTS)
def test_a_busy_hub_gets_another_request(hub: FakeHub, ref: ArtifactRef, request_of: str) -> None:
    hub.fail(request_of, 503)
    assert put(ref) == (True, hub.repos[TO].head)
    assert not hub.faults
    assert len(hub.repos[TO].commits) == 2


def test_a_hub_that_never_answers(hub: FakeHub, ref: ArtifactRef) -> None:
    for _ in range(3):
        hub.fail("GET /api/models/acme/tagger$", 503)
    with pytest.raises(StoreUnreachableError, match=r"Hub repository acme/tagger cannot be reached"):
        put(ref)


def test_a_damaged_upload_makes_no_commit(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.fail("PUT /uploads/", 400)
    with pytest.raises(InputError, match="the Hub refuses it \\(status 400"):
        put(ref)
    assert hub.repos[TO].files.keys() == {".gitattributes"}


@pytest.mark.parametrize("token", ["hf_wrong", None])
def test_a_token_without_permission(
    hub: FakeHub, ref: ArtifactRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    use_hub(monkeypatch, hub, tmp_path / "stranger", token)
    with pytest.raises(InputError, match=r"HF_TOKEN, or .*`hf auth login`") as refused:
        put(ref)
    assert "hf_wrong" not in str(refused.value)
    assert not hub.repos


def test_a_foreign_namespace(hub: FakeHub, ref: ArtifactRef) -> None:
    with pytest.raises(InputError, match=r"--to others/tagger: the Hub refuses it \(status 403\)"):
        publish(ref, CARD, "others/tagger", visibility=None, message=None)


@pytest.mark.parametrize("name", ["tagger", "a/b/c", "hf://a/b", "a/b.git", "a/b--c", "-a/b", "a/..", ""])
def test_an_invalid_name(hub: FakeHub, name: str) -> None:
    with pytest.raises(InputError, match="write org/name"):
        check_request(name)


def test_metadata_that_the_hub_rejects(hub: FakeHub, ref: ArtifactRef) -> None:
    hub.repos[TO] = Repo(private=True)
    hub.repos[TO].commit({"README.md": b"---\nlicense: [1]\n---\nhi\n"})
    with pytest.raises(InputError, match='"license" must be a string'):
        put(ref)
    assert len(hub.repos[TO].commits) == 1


def test_a_damaged_artifact_is_not_published(hub: FakeHub, ref: ArtifactRef, config: Config) -> None:
    blob = next(Path(config.store).glob("blobs/sha256/*/*"))
    blob.chmod(0o644)
    blob.write_bytes(b"damaged")
    with pytest.raises(CorruptArtifactError):
        put(ref)
    assert not hub.repos


def test_the_example_of_use_works(
    hub: FakeHub, ref: ArtifactRef, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    card = render_card(ref, config, TO).text
    put(ref, card)
    snippet = re.findall(r"```python\n(.*?)```", hub.repos[TO].files["README.md"].decode(), re.DOTALL)
    assert len(snippet) == 1
    capsys.readouterr()
    known: dict[str, object] = {}
    exec(compile(snippet[0], "README.md", "exec"), known)
    assert type(known["tagger"]).__name__ == "TokenClassificationPipeline"
    for shown in capsys.readouterr().out.splitlines():
        assert re.fullmatch(r"(LOC|PER) .+ [01]\.\d+", shown)


def test_the_fake_names_content_as_git_does() -> None:
    assert git_digest(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
