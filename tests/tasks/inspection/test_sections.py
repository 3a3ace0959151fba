from pathlib import Path

import pytest
from small_corpus import write_corpus

from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inspection.inspection import inspect
from nerbench.tasks.inspection.notes import sections


def test_the_tables_contain_the_counts_and_no_words(tmp_path: Path) -> None:
    files = {split: write_corpus(tmp_path / f"{split}.txt", n) for split, n in (("train", 5), ("test", 2))}
    config = Config.model_validate({"dataset": {"name": "own", "files": files}})
    corpora = load_splits(config.datasets[0])
    found = sections(inspect(config))
    assert [(row["split"], row["words"]) for row in found["Splits"]] == [
        (split, corpora[split].n_words) for split in ("train", "test")
    ]
    kinds = {row["type"] for row in found["Entities by type"]}
    assert kinds == set(corpora["test"].types)
    assert sum(row["share, %"] for row in found["Entities by type"] if row["split"] == "test") == pytest.approx(
        100, abs=0.5
    )
    assert [(row["split"], row["earlier"]) for row in found["Shared between splits"]] == [("test", "train")]
    words = {word for sentence in corpora["train"].words for word in sentence if len(word) > 3}
    told = {str(value) for rows in found.values() for row in rows for value in row.values()}
    assert not words & told


def test_one_split_shares_nothing(tmp_path: Path) -> None:
    config = Config.model_validate({"dataset": {"name": "own", "files": {"test": write_corpus(tmp_path / "t.txt", 1)}}})
    assert set(sections(inspect(config))) == {"Splits", "Entities by type"}


def test_without_data_there_is_nothing() -> None:
    assert sections(inspect(Config())) == {}
