"""Endless records and corpora, and paths that are not files, are refused during reading."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nerbench.artifacts.aliases import read_aliases
from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import CorpusError, CorruptArtifactError, InputError, NerbenchError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactKey, Provenance
from nerbench.artifacts.model_folder import refuse_unsafe
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.config.user_code import load_file
from nerbench.tasks.data.conll import read_conll
from nerbench.tasks.data.json_files import read_json
from nerbench.tasks.data.parquet_files import read_parquet
from nerbench.tasks.inference.evaluation_cache import look_up
from nerbench.tasks.predicting.text_reading import open_source
from nerbench.tasks.scoring.benchmark_functions import collect

pytestmark = pytest.mark.attacks
ENDLESS = 1 << 40
ID = "0" * 64


def hole(path: Path, size: int = ENDLESS) -> Path:
    """A file of this size that takes no disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def manifest(folder: Path) -> None:
    hole(folder / f"models/toy/manifests/{ID}.json")
    Store(str(folder)).manifest(ArtifactKey(name="toy", artifact_id=ID))


def alias(folder: Path) -> None:
    hole(folder / "models/toy/aliases/latest.json")
    read_aliases(open_root(str(folder)), "toy")


def compaction(folder: Path) -> None:
    hole(folder / "_compacted/metrics/schema=2/date=2026-01-02/000001.json")
    (folder / "metrics/schema=2/date=2026-01-02").mkdir(parents=True)
    read_results(str(folder), "metrics")


def configuration(folder: Path) -> None:
    hole(folder / "config.json")
    refuse_unsafe(open_root(str(folder)))


@pytest.mark.parametrize("attack", [manifest, alias, compaction, configuration], ids=lambda attack: attack.__name__)
def test_a_record_without_end(attack: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises((CorruptArtifactError, UnsafeArtifactError), match=r"has more than \d+ bytes"):
        attack(tmp_path)


def test_an_endless_evaluation_record_is_a_miss(tmp_path: Path) -> None:
    hole(tmp_path / "folder/record.json")
    assert look_up(open_root(str(tmp_path)), "folder", "toy") == ("altered", None)


def test_a_blob_without_end_is_not_read_by_verify(tiny_model_folder: Path, tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    ref = store.publish(tiny_model_folder, "toy", Provenance())
    blob = max((tmp_path / "blobs").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    hole(blob)
    problems = store.verify(ref).problems
    assert len(problems) == 1
    assert f"has {ENDLESS} bytes instead of" in problems[0]


MANIFESTS = {
    "deep": b'{"training":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeper": b'{"training":' + b"[" * 3_000_000 + b"]" * 3_000_000 + b"}",
    "wide": b'{"training":{"a":[' + b"[]," * 2_700_000 + b"[]]}}",
}


@pytest.mark.parametrize("shape", MANIFESTS)
def test_a_manifest_of_lists_without_end(shape: str, tmp_path: Path) -> None:
    data = MANIFESTS[shape]
    path = tmp_path / f"models/toy/manifests/{sha256_hex(data)}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises((CorruptArtifactError, UnsafeArtifactError)):
        Store(str(tmp_path)).manifest(ArtifactKey(name="toy", artifact_id=sha256_hex(data)))


def test_a_compaction_of_a_million_lists(tmp_path: Path) -> None:
    path = tmp_path / "_compacted/metrics/schema=2/date=2026-01-02/000001.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"a":[' + b"[]," * 2_700_000 + b"[]]}")
    (tmp_path / "metrics/schema=2/date=2026-01-02").mkdir(parents=True)
    with pytest.raises(CorruptArtifactError, match="values"):
        read_results(str(tmp_path), "metrics")


def conll(path: Path) -> None:
    list(read_conll(str(path), DatasetConfig(name="a", format="conll", files={"test": str(path)})).sentences)


def jsonlines(path: Path) -> None:
    list(read_json(str(path), DatasetConfig(name="a", format="json", files={"test": str(path)})).sentences)


def parquet(path: Path) -> None:
    list(read_parquet(str(path), DatasetConfig(name="a", format="parquet", files={"test": str(path)})).sentences)


def prediction(path: Path) -> None:
    open_source(str(path), None, "utf-8")


def metrics(path: Path) -> None:
    collect([path])


def code(path: Path) -> None:
    load_file(path)


def stored(path: Path) -> None:
    open_root(str(path.parent)).read(path.name)


READERS = [conll, jsonlines, parquet, prediction, metrics, code, stored]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_pipe_is_not_waited_for(read: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises((NerbenchError, FileNotFoundError)):
        read(path)


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_device_is_not_read(read: Callable[[Path], None]) -> None:
    with pytest.raises((NerbenchError, FileNotFoundError)):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("read", [conll, jsonlines, prediction], ids=lambda read: read.__name__)
@pytest.mark.parametrize("byte", [b"a", "😀".encode()], ids=["ascii", "emoji"])
def test_a_line_without_end(read: Callable[[Path], None], byte: bytes, tmp_path: Path) -> None:
    path = tmp_path / "line"
    with path.open("wb") as stream:
        for _ in range(100):
            stream.write(byte * (1 << 20))
    with pytest.raises(CorpusError, match="is longer than 8 MiB"):
        read(path)


@pytest.mark.parametrize("read", [conll, jsonlines, parquet], ids=lambda read: read.__name__)
def test_a_corpus_that_is_one_hole(read: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read(hole(tmp_path / "hole"))


@pytest.mark.slow
def test_a_line_of_many_lists(tmp_path: Path) -> None:
    path = tmp_path / "lists"
    path.write_bytes(b'{"tokens": [' + b"[]," * 2_700_000 + b'[]], "ner_tags": []}')
    with pytest.raises(CorpusError):
        jsonlines(path)
