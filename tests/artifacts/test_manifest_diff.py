"""Differences of two manifests."""

from typing import Any

from nerbench.artifacts.manifest import BaseSource, CodeVersion, CorpusDigest, FileEntry, Manifest, Provenance
from nerbench.artifacts.manifest_diff import Difference, differences

HEX = "0" * 64
ONES = "1" * 64


def manifest(labels: tuple[str, ...] = ("O", "B-PER"), weights: str = HEX, **provenance: Any) -> Manifest:
    files = (
        FileEntry(path="config.json", size=1, sha256=HEX),
        FileEntry(path="model.safetensors", size=2, sha256=weights),
    )
    return Manifest(format_version=1, name="m", files=files, labels=labels, provenance=Provenance(**provenance))


def corpus(words: str) -> CorpusDigest:
    return CorpusDigest(dataset="own", split="train", words_sha256=words, gold_sha256=HEX)


def test_equal_manifests_have_no_difference() -> None:
    one = manifest(training={"epochs": 3, "nested": {"a": [1, 2]}}, seed=1, corpora=(corpus(HEX),))
    assert differences(one, one) == []
    assert differences(one, one.model_copy(update={"name": "other"})) == []


def test_every_part_is_compared() -> None:
    one = manifest(
        training={"epochs": 3, "overrides": {"layers": 6}, "kept": True},
        seed=1,
        train_s=2.5,
        metrics={"f1": 0.5},
        versions={"torch": "2.12", "python": "3.11"},
        hardware={"cpu": "x"},
        code=CodeVersion(commit="a", dirty=False),
        base_model=BaseSource(name="bert", revision="abc"),
        corpora=(corpus(HEX),),
    )
    two = manifest(
        labels=("O", "B-ORG"),
        weights=ONES,
        training={"epochs": 4, "overrides": {"layers": 3}, "kept": True, "window": None},
        metrics={"f1": 0.75},
        versions={"torch": "2.13", "python": "3.11"},
        hardware={"cpu": "x", "gpu": "y"},
        code=CodeVersion(commit="a", dirty=True),
        base_model=BaseSource(name="bert", revision="def"),
        corpora=(corpus(ONES),),
    )
    assert set(differences(one, two)) == {
        ("files", "model.safetensors", HEX, ONES),
        ("labels", "B-PER", 1, None),
        ("labels", "B-ORG", None, 1),
        ("training", "epochs", 3, 4),
        ("training", "overrides.layers", 6, 3),
        ("training", "seed", 1, None),
        ("training", "train_s", 2.5, None),
        ("metrics", "f1", 0.5, 0.75),
        ("environment", "torch", "2.12", "2.13"),
        ("environment", "gpu", None, "y"),
        ("code", "dirty", False, True),
        ("base model", "revision", "abc", "def"),
        ("corpora", "own train.words_sha256", HEX, ONES),
    }


def test_rows_of_a_section_are_adjacent() -> None:
    one, two = manifest(training={"a": 1, "b": 1}, seed=1), manifest(weights=ONES, training={"a": 2, "b": 2}, seed=2)
    assert [found.section for found in differences(one, two)] == ["files", "training", "training", "training"]
    assert differences(one, two)[0] == Difference("files", "model.safetensors", HEX, ONES)
