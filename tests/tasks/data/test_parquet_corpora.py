"""Parquet files: columns, types, names of integers, documents, URLs."""

from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits

WORDS = [["Ada", "L."], [], ["in"]]
TAGS = [["B-PER", "I-PER"], [], ["O"]]
LABELS = ["O", "B-PER", "I-PER"]
NUMBERS = [[1, 2], [], [0]]


def write(path: Path | str, columns: dict[str, Any]) -> str:
    with fsspec.open(str(path), "wb") as file:
        pq.write_table(pa.table(columns), file, row_group_size=2)
    return str(path)


def load(path: str, **options: Any) -> Corpus:
    return load_splits(
        DatasetConfig.model_validate({"name": "toy", "format": "parquet", "files": {"test": path}} | options)
    )["test"]


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        ({"tokens": WORDS, "ner_tags": TAGS}, {}),
        ({"words": WORDS, "tags": TAGS, "id": [1, 2, 3]}, {}),
        ({"tokens": [["no"]] * 3, "w": WORDS, "t": TAGS}, {"columns": {"words": "w", "tags": "t"}}),
        ({"tokens": WORDS, "ner_tags": NUMBERS}, {"labels": LABELS}),
        ({"tokens": WORDS, "ner_tags": pa.array(NUMBERS, pa.large_list(pa.uint8()))}, {"labels": LABELS}),
        ({"tokens": pa.array(WORDS, pa.list_(pa.dictionary(pa.int8(), pa.string()))), "ner_tags": TAGS}, {}),
        ({"tokens": pa.array(WORDS, pa.large_list(pa.large_string())), "ner_tags": TAGS}, {}),
    ],
)
def test_layouts(tmp_path: Path, columns: dict[str, Any], options: dict[str, Any]) -> None:
    corpus = load(write(tmp_path / "a.parquet", columns), **options)
    assert (corpus.words, corpus.tags, corpus.documents) == ([["Ada", "L."], ["in"]], [["B-PER", "I-PER"], ["O"]], None)


def test_names_that_datasets_keeps_in_the_file(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    label = datasets.List(datasets.ClassLabel(names=LABELS))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": label})
    rows = datasets.Dataset.from_dict({"tokens": WORDS, "ner_tags": NUMBERS}, features=features)
    rows.to_parquet(tmp_path / "a.parquet")
    assert load(str(tmp_path / "a.parquet")).tags == [["B-PER", "I-PER"], ["O"]]
    declared = load(str(tmp_path / "a.parquet"), labels=["O", "B-ORG", "I-ORG"])
    assert declared.tags == [["B-ORG", "I-ORG"], ["O"]]


@pytest.mark.parametrize("kind", [pa.string(), pa.int64()])
def test_documents(tmp_path: Path, kind: pa.DataType) -> None:
    documents = pa.array([7, 7, 3, 3]).cast(kind)
    path = write(tmp_path / "a.parquet", {"words": [["a"]] * 4, "tags": [["O"]] * 4, "doc": documents})
    assert list(load(path, columns={"document": "doc"}).documents or ()) == [0, 0, 1, 1]
    assert load(path).documents is None


def test_urls_and_golds_of_the_same_or_another_format(tmp_path: Path) -> None:
    url = write("memory://tabular/a.parquet", {"tokens": WORDS, "ner_tags": NUMBERS})
    dataset = DatasetConfig(name="toy", format="parquet", files={"test": url}, labels=tuple(LABELS))
    text = load_splits(dataset)["test"]
    assert text.tags == [["B-PER", "I-PER"], ["O"]]

    other = write("memory://tabular/b.parquet", {"tokens": WORDS[::2], "ner_tags": [[0, 2], [2]]})
    assert load_gold(GoldConfig(name="other", dataset="toy", file=other), dataset, text).tags == [
        ["O", "B-PER"],
        ["B-PER"],
    ]
    (tmp_path / "gold.txt").write_text("B-X 1 Ada\nI-X 2 L.\n\nO 3 in\n")
    conll = GoldConfig.model_validate(
        {
            "name": "conll",
            "dataset": "toy",
            "file": f"{tmp_path}/gold.txt",
            "format": "conll",
            "columns": {"words": 2, "tags": 0},
        }
    )
    assert load_gold(conll, dataset, text).tags == [["B-X", "I-X"], ["O"]]


def test_a_damaged_file(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.parquet", {"tokens": [["Ada"] * 50] * 500, "ner_tags": [["O"] * 50] * 500}))
    content = bytearray(path.read_bytes())
    content[40:80] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"a\.parquet: cannot be read \("):
        load(str(path))
