"""JSON lines: keys, integers, documents, encodings, URLs."""

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits

ROWS = [{"tokens": ["Ada", "L."], "ner_tags": ["B-PER", "I-PER"]}, {"tokens": ["ö"], "ner_tags": ["O"]}]


def write(path: Path | str, rows: list[dict[str, Any]], encoding: str = "utf-8") -> str:
    with fsspec.open(str(path), "wb") as file:
        file.write("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(encoding))
    return str(path)


def load(path: str, **options: Any) -> Corpus:
    return load_splits(
        DatasetConfig.model_validate({"name": "toy", "format": "json", "files": {"test": path}} | options)
    )["test"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_layouts(tmp_path: Path, encoding: str) -> None:
    numbered = [{"t": [1, 2], "tokens": ["x"], "w": ["Ada", "L."]}, {"w": [], "t": []}, {"t": [0], "w": ["ö"]}]
    names = {"columns": {"words": "w", "tags": "t"}, "labels": ["O", "B-PER", "I-PER"]}
    for rows, options in ((ROWS, {}), (numbered, names)):
        corpus = load(write(tmp_path / "a.jsonl", rows, encoding), encoding=encoding, **options)
        assert (corpus.words, corpus.tags) == ([["Ada", "L."], ["ö"]], [["B-PER", "I-PER"], ["O"]])


def test_documents_are_named_or_marked(tmp_path: Path) -> None:
    named = [row | {"doc": name} for row, name in zip(ROWS, ("a", "b"), strict=True)]
    assert list(load(write(tmp_path / "a.jsonl", named), columns={"document": "doc"}).documents or ()) == [0, 1]
    mark = {"tokens": ["-DOCSTART-"], "ner_tags": ["O"]}
    marked = load(write(tmp_path / "a.jsonl", [mark, ROWS[0], mark, mark, *ROWS]))
    assert list(marked.documents or ()) == [0, 1, 1]


def test_urls_and_a_further_gold() -> None:
    dataset = DatasetConfig(name="toy", format="json", files={"test": write("memory://json/a.jsonl", ROWS)})
    text = load_splits(dataset)["test"]
    rows = [{"words": row["tokens"], "tags": ["O"] * len(row["tokens"])} for row in ROWS]
    gold = GoldConfig(name="other", dataset="toy", file=write("memory://json/b.jsonl", rows))
    assert load_gold(gold, dataset, text).tags == [["O", "O"], ["O"]]
