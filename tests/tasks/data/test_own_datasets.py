"""A user's `datasets.Dataset` or `DatasetDict`: saved, exported, or returned by a loader."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nerbench
from nerbench.artifacts.errors import ConfigError, CorpusError
from nerbench.tasks.config import Config, DatasetConfig, GoldConfig
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits
from nerbench.tasks.inspection.guess_dataset import guess

datasets = pytest.importorskip("datasets")
NAMES = ["O", "B-PER", "I-PER"]
ROWS = {"tokens": [["Ada", "L."], ["in"], ["Bo"]], "ner_tags": [[1, 2], [0], [1]], "document": [0, 0, 1]}
TEXT = "-DOCSTART- O\n\nAda B-PER\nL. I-PER\n\nin O\nBonn B-LOC\n\n-DOCSTART- O\n\nBo B-PER\n"


def dataset(split: str | None = None, **columns: Any) -> Any:
    label = datasets.List(datasets.ClassLabel(names=NAMES))
    kinds = {"tokens": datasets.List(datasets.Value("string")), "ner_tags": label, "document": datasets.Value("int64")}
    rows = ROWS | columns
    return datasets.Dataset.from_dict(
        rows, features=datasets.Features({name: kinds[name] for name in rows}), split=split and datasets.Split(split)
    )


def saved(path: Path, **options: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "own", "format": "datasets", "path": str(path), **options})


def loaded(function: str, **options: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "own", "loader": f"{__name__}:{function}", **options})


def digests(splits: dict[str, Corpus]) -> dict[str, tuple[str, str]]:
    return {split: (corpus.words_sha256, corpus.gold_sha256) for split, corpus in splits.items()}


@pytest.fixture(params=["documents", "no documents"])
def conll(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetConfig:
    text = TEXT if request.param == "documents" else TEXT.replace("-DOCSTART- O\n\n", "")
    files = {"train": str(tmp_path / "train.conll"), "test": str(tmp_path / "test.conll")}
    Path(files["train"]).write_text(text)
    Path(files["test"]).write_text(text.replace("Ada", "Eva"))
    return DatasetConfig(name="own", files=files)


def test_a_saved_load_corpus_is_read_as_the_same_corpus(conll: DatasetConfig, tmp_path: Path) -> None:
    found, expected = nerbench.load_corpus(Config(datasets=(conll,))), digests(load_splits(conll))
    found.save_to_disk(tmp_path / "saved")
    assert digests(load_splits(saved(tmp_path / "saved"))) == expected
    has_documents = load_splits(conll)["test"].documents is not None
    columns = {"document": "document"} if has_documents else {}
    exported: dict[str, dict[str, str]] = {"parquet": {}, "json": {}}
    for split, rows in found.items():
        rows.to_parquet(tmp_path / f"{split}.parquet")
        rows.to_json(tmp_path / f"{split}.json")
        for kind, files in exported.items():
            files[split] = str(tmp_path / f"{split}.{kind}")
    names = found["train"].features["ner_tags"].feature.names
    for kind, files in exported.items():
        given = {"labels": names} if kind == "json" else {}
        own = {"name": "own", "format": kind, "files": files, "columns": columns, **given}
        assert digests(load_splits(DatasetConfig.model_validate(own))) == expected, kind


def as_dict(split: str) -> Any:
    return datasets.DatasetDict(train=dataset(), test=dataset())


def as_dataset(split: str) -> Any:
    return {"train": dataset("train"), "validation": dataset("validation", tokens=[], ner_tags=[], document=[])}.get(
        split
    )


def as_rows(split: str) -> Iterator[Any]:
    if split == "test":
        for row in dataset():
            yield row | {"ner_tags": [NAMES[tag] for tag in row["ner_tags"]]}


def as_misnamed(split: str) -> Any:
    return dataset().rename_column("ner_tags", "labels")


@pytest.mark.parametrize(
    ("function", "splits"), [("as_dict", ["train", "test"]), ("as_dataset", ["train"]), ("as_rows", ["test"])]
)
def test_a_loader_may_return_them(function: str, splits: list[str]) -> None:
    found = load_splits(loaded(function))
    assert list(found) == splits
    for corpus in found.values():
        assert corpus.words == ROWS["tokens"]
        assert corpus.tags == [["B-PER", "I-PER"], ["O"], ["B-PER"]]
        assert list(corpus.documents or ()) == [0, 0, 1]


def test_a_loader_with_other_column_names() -> None:
    with pytest.raises(CorpusError, match=r"there is no column 'ner_tags' or 'tags'; columns\.tags can be one of"):
        load_splits(loaded("as_misnamed"))


def test_a_single_dataset_is_the_split_that_it_names_or_is_divided(tmp_path: Path) -> None:
    dataset("test").save_to_disk(tmp_path / "named")
    assert list(load_splits(saved(tmp_path / "named"))) == ["test"]
    dataset().save_to_disk(tmp_path / "whole")
    with pytest.raises(CorpusError, match=r"is not one of train, validation and test; divide it, e\.g\. `split: {"):
        load_splits(saved(tmp_path / "whole"))
    config = saved(tmp_path / "whole", split={"train": 1, "test": "rest"})
    found = load_splits(config)
    assert sorted(words[0] for corpus in found.values() for words in corpus.words) == ["Ada", "Bo", "in"]
    assert all(set(corpus.documents or ()) == {0} for corpus in found.values())
    gold = GoldConfig(name="gold", dataset="own", file=str(tmp_path / "whole"))
    assert load_gold(gold, config, found["test"]).tags == found["test"].tags


def test_a_relative_folder_and_a_folder_that_is_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    datasets.DatasetDict(test=dataset()).save_to_disk("corpus")
    Path("nerbench.yaml").write_text("datasets: [{name: own, format: datasets, path: corpus}]")
    assert load_config(None).datasets[0].path == str(tmp_path / "corpus")
    guessed = guess(["corpus"]).dataset
    assert (guessed.name, guessed.format, guessed.path) == ("corpus", "datasets", "corpus")
    assert load_splits(guessed)["test"].words == ROWS["tokens"]
    Path("nerbench.yaml").write_text("datasets: [{name: own, format: datasets, path: elsewhere}]")
    with pytest.raises(ConfigError, match="there is no folder"):
        load_config(None)


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot be loaded .*; name a folder made by `save_to_disk`"):
        load_splits(saved(tmp_path))
    datasets.DatasetDict(dev=dataset()).save_to_disk(tmp_path / "dev")
    with pytest.raises(CorpusError, match="has no split train, validation or test; its splits are dev"):
        load_splits(saved(tmp_path / "dev"))
    dataset("test").save_to_disk(tmp_path / "secret")
    dataset("test").save_to_disk(tmp_path / "links")
    state = tmp_path / "links" / "state.json"
    state_of = json.loads(state.read_text())
    state_of["_data_files"] = [{"filename": "../secret/data-00000-of-00001.arrow"}]
    state.write_text(json.dumps(state_of))
    with pytest.raises(CorpusError, match="names Arrow files outside itself"):
        load_splits(saved(tmp_path / "links"))


def test_a_damaged_arrow_file_is_refused_and_never_followed(tmp_path: Path) -> None:
    """Offsets outside of the data, which Arrow would follow without a check."""
    many = {name: values * 100 for name, values in ROWS.items()} | {"document": list(range(300))}
    dataset("test", **many).save_to_disk(tmp_path / "good")
    whole = (tmp_path / "good" / "data-00000-of-00001.arrow").read_bytes()
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 2, 3, 4, 6))
    assert offsets in whole
    shutil.copytree(tmp_path / "good", tmp_path / "bad")
    bad = whole.replace(offsets, b"".join(n.to_bytes(4, "little") for n in (0, 1 << 30, 3, 4, 6)), 1)
    (tmp_path / "bad" / "data-00000-of-00001.arrow").write_bytes(bad)
    with pytest.raises(CorpusError, match="is damaged"):
        load_splits(saved(tmp_path / "bad"))
