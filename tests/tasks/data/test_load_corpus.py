"""`nerbench.load_corpus`: the corpus of training and benchmark as a DatasetDict."""

from pathlib import Path

import pytest
from small_corpus import write_corpus

import nerbench
from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config, DatasetConfig
from nerbench.tasks.data.corpus import load_splits


@pytest.fixture
def config(tmp_path: Path) -> Config:
    files = {split: write_corpus(tmp_path / f"{split}.txt", n) for split, n in (("train", 3), ("test", 1))}
    return Config(datasets=(DatasetConfig(name="own", files=files),))


def test_it_is_the_corpus_that_is_benchmarked(config: Config) -> None:
    found, expected = nerbench.load_corpus(config), load_splits(config.datasets[0])
    assert list(found) == list(expected) == ["train", "test"]
    for split, corpus in expected.items():
        names = found[split].features["ner_tags"].feature.names
        assert found[split]["tokens"][:] == list(corpus.words)
        assert [[names[tag] for tag in tags] for tags in found[split]["ner_tags"]] == list(corpus.tags)
        assert found[split]["document"][:] == list(corpus.documents or [None] * len(corpus.words))
        assert found[split].split == split
    assert found["train"].features == found["test"].features


def test_its_fingerprint_depends_on_its_content_alone(config: Config) -> None:
    first, again = nerbench.load_corpus(config), nerbench.load_corpus(config, "own")
    assert first["test"]._fingerprint == again["test"]._fingerprint != first["train"]._fingerprint
    lengths = first["test"].map(lambda rows: {"n": [len(words) for words in rows["tokens"]]}, batched=True)
    assert lengths["n"][:] == [len(words) for words in first["test"]["tokens"]]


def test_without_a_configuration_it_is_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(nerbench.load_corpus()) == {"train", "validation", "test"}


def test_a_missing_data_set(config: Config) -> None:
    with pytest.raises(InputError, match="there is no data set 'other'; use one of: own"):
        nerbench.load_corpus(config, "other")
