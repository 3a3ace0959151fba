"""`nerbench artifacts` on a test store: output, changes, and exit statuses."""

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.manifest import ArtifactRef, BaseSource, CorpusDigest, NamedFile, Provenance
from nerbench.artifacts.store import Store
from nerbench.flows.cli import status_of

CORPUS = CorpusDigest(
    dataset="own",
    split="train",
    words_sha256="a" * 64,
    gold_sha256="b" * 64,
    files=(NamedFile(name="train.txt", sha256="c" * 64),),
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return Store(str(tmp_path / "store"))


@pytest.fixture
def first(store: Store, tiny_model_folder: Path) -> ArtifactRef:
    base = BaseSource(name="org/bert", revision="abc")
    known = Provenance(base_model=base, seed=1, training={"epochs": 3}, metrics={"f1": 0.5}, corpora=(CORPUS,))
    return store.publish(tiny_model_folder, "tiny", known)


@pytest.fixture
def second(store: Store, first: ArtifactRef, tiny_model_folder: Path, tmp_path: Path) -> ArtifactRef:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "second")
    (folder / "tokenizer_config.json").write_text("{}")
    base = BaseSource(name="tiny", sha256=first.model_sha256)
    known = Provenance(base_model=base, seed=2, training={"epochs": 4}, metrics={"f1": 0.75}, run_id="night-2")
    return store.publish(folder, "tiny", known)


@pytest.fixture
def run(store: Store, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*arguments: str, status: int = 0) -> str:
        assert status_of(["artifacts", *arguments, "--store", store.url]) == status
        printed = capsys.readouterr()
        return printed.err if status else printed.out

    return command


def test_show_reads_the_headers(run: Any, second: ArtifactRef, store: Store) -> None:
    import torch
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(store.materialise(second), dtype=torch.float32)
    shown = json.loads(run("show", "tiny", "--json"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert shown["weights"] == {
        "tensors": len(list(model.parameters())),
        "parameters": parameters,
        "parameters_by_dtype": {"F32": parameters},
    }
    assert shown["provenance"]["run_id"] == "night-2"
    printed = run("show", "tiny")
    assert re.search(rf"^parameters +{parameters} *$", printed, re.MULTILINE)
    assert "model.safetensors" in printed


def test_lineage_is_followed(run: Any, first: ArtifactRef, second: ArtifactRef) -> None:
    rows = json.loads(run("show", "tiny", "--lineage", "--json"))["lineage"]
    assert [(row["name"], row["artifact_id"], row["revision"]) for row in rows] == [
        ("tiny", second.artifact_id, None),
        ("tiny", first.artifact_id, None),
        ("org/bert", None, "abc"),
    ]
    assert (rows[0]["run_id"], rows[1]["seed"], rows[1]["corpora"][0]["files"][0]["name"]) == (
        "night-2",
        1,
        "train.txt",
    )
    printed = run("show", "tiny", "--lineage")
    assert "own train train.txt (words aaaaaaaaaaaa)" in printed
    assert "abc" in printed


def test_differences_are_shown(run: Any, first: ArtifactRef, second: ArtifactRef) -> None:
    references = (f"tiny@sha256:{first.artifact_id[:12]}", "tiny")
    found = json.loads(run("diff", *references, "--json"))
    assert (found["first"], found["second"]) == (first.artifact_id, second.artifact_id)
    assert found["same_model"] is False
    said = {(one["section"], one["key"]): (one["first"], one["second"]) for one in found["differences"]}
    assert said["training", "epochs"] == (3, 4)
    assert said["metrics", "f1"] == (0.5, 0.75)
    assert [key for section, key in said if section == "files"] == ["tokenizer_config.json"]
    printed = run("diff", *references)
    for text in ("epochs", "0.75", "tokenizer_config.json", first.artifact_id[:12], "org/bert"):
        assert text in printed
    assert json.loads(run("diff", "tiny", "tiny", "--json"))["differences"] == []


def test_an_alias_is_moved_as_expected(run: Any, store: Store, first: ArtifactRef, second: ArtifactRef) -> None:
    old, new = (f"tiny@sha256:{ref.artifact_id[:12]}" for ref in (first, second))
    run("alias", old, "champion", "--expect", "none")
    said = run("alias", new, "champion", "--expect", "none", status=1)
    assert said == f"nerbench: tiny@champion is {old} now, and is left as it is\n"
    run("alias", new, "champion", "--expect", first.artifact_id[:12])
    assert store.aliases("tiny")["champion"] == second.artifact_id
    assert "tiny has no artifact with that digest" in run("alias", old, "champion", "--expect", "0" * 12, status=2)


def test_a_pushed_model_is_checked(run: Any, store: Store, tiny_model_folder: Path, tmp_path: Path) -> None:
    ref = json.loads(run("push", str(tiny_model_folder), "--name", "mine", "--json"))
    (summary,) = store.list()
    assert summary.artifact_id == ref["artifact_id"]
    assert store.manifest(summary).golden
    folder = shutil.copytree(tiny_model_folder, tmp_path / "unnamed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}))
    said = run("push", "unnamed", "--name", "other", status=2)
    assert said.count("\n") == 1
    assert "'LABEL_0' is not a meaningful name; write their names" in said
    assert store.names() == ["mine"]


def test_garbage_is_shown_and_then_removed(run: Any, store: Store, first: ArtifactRef, second: ArtifactRef) -> None:
    blob = Path(store.url) / "blobs" / "sha256" / "00" / ("0" * 64)
    blob.parent.mkdir()
    blob.write_bytes(b"12345")
    assert json.loads(run("gc", "--json")) == {"deleted": False, "bytes": 0, "garbage": [], "foreign": []}
    for path in Path(store.url).rglob("*"):
        os.utime(path, (old := time.time() - 30 * 86400, old))
    found = json.loads(run("gc", "--json"))
    assert [(one["kind"], one["path"], one["bytes"]) for one in found["garbage"]] == [
        ("blob", f"blobs/sha256/00/{'0' * 64}", 5)
    ]
    assert "0" * 64 in run("gc")
    assert run("gc", "--grace", "40") == ""
    assert blob.exists()
    assert json.loads(run("gc", "--delete", "--json"))["bytes"] == 5
    assert not blob.exists()
    assert "grace: " in run("gc", "--grace", "0", status=2)
    assert store.verify(first).ok


def test_foreign_files_are_reported_and_kept(run: Any, store: Store, first: ArtifactRef) -> None:
    notes = Path(store.url) / "blobs" / "notes.txt"
    notes.write_text("mine")
    os.utime(notes, (old := time.time() - 30 * 86400, old))
    foreign = [{"path": "blobs/notes.txt", "problem": "not a name of a store"}]
    assert json.loads(run("gc", "--delete", "--json")) == {
        "deleted": True,
        "bytes": 0,
        "garbage": [],
        "foreign": foreign,
    }
    assert notes.exists()


def test_an_unreachable_store_is_not_an_empty_store(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", lambda seconds: None)
    assert status_of(["artifacts", "ls", "--store", "http://127.0.0.1:9/x"]) == 1
    assert "http://127.0.0.1:9/x cannot be reached" in capsys.readouterr().err


def test_old_versions_are_removed_on_request(
    run: Any, store: Store, tiny_model_folder: Path, second: ArtifactRef
) -> None:
    assert run("gc", "--unaliased-older-than", "1") == ""
    (folder,) = (Path(store.url) / "models" / "tiny" / "manifests",)
    for path in Path(store.url).rglob("*"):
        os.utime(path, (old := time.time() - 30 * 86400, old))
    found = json.loads(run("gc", "--unaliased-older-than", "0", "--delete", "--json"))["garbage"]
    assert [one["kind"] for one in found] == ["manifest", "blob"]
    assert [path.stem for path in folder.iterdir()] == [second.artifact_id]
    assert store.verify(second).ok


def test_a_store_moves_by_an_archive(run: Any, store: Store, first: ArtifactRef, second: ArtifactRef) -> None:
    run("export", "all.tar")
    exported = json.loads(run("export", "one.tar", f"tiny@sha256:{first.artifact_id}", "--json"))
    assert exported["artifacts"] == {"tiny": [first.artifact_id]}
    other = f"{store.url}-2"
    assert status_of(["artifacts", "import", "all.tar", "--store", other]) == 0
    assert Store(other).keys() == {"tiny": sorted((first.artifact_id, second.artifact_id))}
    assert Store(other).aliases("tiny") == store.aliases("tiny")


def test_an_artifact_is_signed_and_its_signature_required(run: Any, first: ArtifactRef, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    Path("private.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path("public.pem").write_bytes(public)
    run("verify", "tiny", "--key", "public.pem", status=1)
    run("sign", "tiny", "--key", "private.pem")
    assert "ok" in run("verify", "tiny", "--key", "public.pem")
    assert "Ed25519 private key" in run("sign", "tiny", "--key", "public.pem", status=2)
