"""Identities, and refused contents of manifests of unknown origin."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import UnsafeArtifactError
from nerbench.artifacts.manifest import BaseSource, CorpusDigest, FileEntry, Manifest, Provenance

HEX = "0" * 64


def manifest(name: str = "model", provenance: Provenance = Provenance(), **digests: str) -> Manifest:  # noqa: B008
    files = tuple(FileEntry(path=path.replace("__", "."), size=1, sha256=digest) for path, digest in digests.items())
    return Manifest(format_version=1, name=name, files=files, labels=("O", "B-PER"), provenance=provenance)


def with_paths(*paths: str) -> bytes:
    document: dict[str, Any] = json.loads(manifest(config__json=HEX).to_bytes())
    document["files"] = [{"path": path, "size": 1, "sha256": HEX} for path in paths]
    return canonical_json(document)


def test_canonical_json_has_one_form() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    training=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    metrics=st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_manifests_survive_a_round_trip(training: Any, metrics: dict[str, float], created_at: datetime | None) -> None:
    provenance = Provenance(
        created_at=created_at,
        training=training,
        metrics=metrics,
        base_model=BaseSource(name="bert", revision="abc"),
        corpora=(CorpusDigest(dataset="toy", split="train", words_sha256=HEX, gold_sha256=HEX),),
        loss_curve=({"step": 10, "epoch": 0.5, "loss": 1.25},),
    )
    written = manifest(provenance=provenance, config__json=HEX)
    read = Manifest.from_bytes(written.to_bytes())
    assert read == written
    assert read.artifact_id == sha256_hex(written.to_bytes())


def test_fields_of_a_later_version_keep_the_digest() -> None:
    document = json.loads(manifest(config__json=HEX).to_bytes())
    document["provenance"]["carbon_g"] = 12
    data = canonical_json(document)
    assert Manifest.from_bytes(data).artifact_id == sha256_hex(data)


def test_a_manifest_without_kind_is_a_model_and_keeps_its_digest() -> None:
    document = {
        "files": [{"path": "config.json", "sha256": HEX, "size": 1}],
        "format_version": 1,
        "labels": ["O"],
        "name": "model",
        "provenance": {},
    }
    read = Manifest.from_bytes(canonical_json(document))
    assert (read.kind, read.to_bytes()) == ("model", canonical_json(document))


def test_model_sha256_depends_on_files_only() -> None:
    one = manifest("one", config__json=HEX, model__safetensors="1" * 64)
    two = manifest("two", Provenance(seed=3), model__safetensors="1" * 64, config__json=HEX)
    other = manifest("one", config__json=HEX, model__safetensors="2" * 64)
    renamed = manifest("one", vocab__json=HEX, model__safetensors="1" * 64)
    assert one.model_sha256 == two.model_sha256
    assert one.artifact_id != two.artifact_id
    assert len({one.model_sha256, other.model_sha256, renamed.model_sha256}) == 3


@pytest.mark.parametrize(
    "paths",
    [
        ["../config.json"],
        ["/etc/config.json"],
        ["a/../../config.json"],
        ["C:/config.json"],
        ["C:config.json"],
        ["\\\\host\\share\\config.json"],
        ["//host/share/config.json"],
        ["a\\config.json"],
        ["..\\config.json"],
        ["\\config.json"],
        ["./config.json"],
        ["a/./config.json"],
        ["a//config.json"],
        ["a/../config.json"],
        ["..."],
        ["../"],
        [".. /config.json"],
        ["a./config.json"],
        ["file:///config.json"],
        ["s3://bucket/config.json"],
        ["nul.json"],
        ["COM1.json"],
        ["a/Aux.x.json"],
        ["config.json\n"],
        ["config.json\0"],
        ["config.json:stream.json"],
        ["config.json", "Config.json"],
        ["config.json", "config.json"],
        ["cafe\u0301.json"],
        ["modeling.py"],
        ["pytorch_model.bin"],
        ["manifest.json"],
        [],
        [f"{number}.json" for number in range(201)],
    ],
)
def test_paths_that_are_refused(paths: list[str]) -> None:
    with pytest.raises(UnsafeArtifactError, match="manifest"):
        Manifest.from_bytes(with_paths(*paths))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b" " * (8 * 2**20 + 1), "more than"),
        (b"[]", "manifest"),
        (b"not json", "manifest"),
        (b"[" * 100_000, "manifest"),
        (with_paths("config.json") + b"\n", "canonical"),
        (with_paths("config.json").replace(b'"format_version":1', b'"format_version":2'), "format_version"),
        (with_paths("config.json").replace(b'"size":1', b'"size":-1'), "size"),
        (with_paths("config.json").replace(b'"size":1', b'"size":99999999999999'), "more than"),
        (with_paths("config.json").replace(b'"name":"model"', b'"name":"../model"'), "name"),
    ],
)
def test_documents_that_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UnsafeArtifactError, match=message) as caught:
        Manifest.from_bytes(data)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value), "the field and the problem, without the library's own words"


def test_nan_and_infinity_are_refused_on_entry() -> None:
    with pytest.raises(ValidationError):
        Provenance(metrics={"f1": float("nan")})
    with pytest.raises(ValidationError):
        Provenance(loss_curve=({"loss": float("inf")},))
