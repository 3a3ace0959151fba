"""Several data sets in one run: all formats, golds of the same and other formats, and references to them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.memoized_reads import read_once
from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data import corpus_refs as corpora
from nerbench.tasks.data.corpus import load_gold
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus

WORDS = [["Ada", "L."], ["in", "Bonn"]]
TAGS = [["B-PER", "I-PER"], ["O", "B-LOC"]]
NONE = [["O", "O"], ["O", "O"]]
SETTINGS = {
    "datasets": [
        {"name": "conll", "files": {"test": "a.txt"}},
        {"name": "parquet", "format": "parquet", "files": {"test": "a.parquet"}},
        {"name": "json", "format": "json", "files": {"test": "a.jsonl"}},
        {"name": "hub", "format": "hub", "path": "./folder"},
        {"name": "loader", "loader": "nerbench_test_mixed:load", "options": {"tags": TAGS}},
    ],
    "golds": [
        {"name": "conll-2", "dataset": "conll", "file": "a.jsonl", "format": "json"},
        {"name": "parquet-2", "dataset": "parquet", "file": "none.parquet"},
        {"name": "hub-2", "dataset": "hub", "file": "./folder"},
        {"name": "hub-3", "dataset": "hub", "file": "a.txt", "format": "conll"},
        {"name": "loader-2", "dataset": "loader", "file": "nerbench_test_mixed:nothing"},
        {"name": "loader-3", "dataset": "loader", "file": "none.parquet", "format": "parquet"},
    ],
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The configuration as a flow gets it: with absolute paths, after a JSON round trip."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(corpora, "_open", type(corpora._open)())
    (tmp_path / "folder").mkdir()
    for name, tags in (("a.parquet", TAGS), ("none.parquet", NONE), ("folder/test.parquet", TAGS)):
        pq.write_table(pa.table({"tokens": WORDS, "ner_tags": tags}), name)
    rows: list[dict[str, Any]] = [{"words": w, "tags": t} for w, t in zip(WORDS, TAGS, strict=True)]
    Path("a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    Path("a.txt").write_text("Ada B-PER\nL. E-PER\n\nin O\nBonn S-LOC\n")
    Path("nerbench_test_mixed.py").write_text(
        f"def load(split, tags):\n    return zip({WORDS}, tags) if split == 'test' else None\n"
        f"def nothing(split, tags):\n    return zip({WORDS}, {NONE})\n"
    )
    Path("nerbench.yaml").write_text(yaml.safe_dump(SETTINGS))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return Config.model_validate_json(load_config(None).model_dump_json())


def test_unchanged_files_are_described_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, read = config.datasets[0], []
    monkeypatch.setattr(corpora, "load_gold", lambda *given: read.append(given) or load_gold(*given))
    with read_once():
        first = describe(config, dataset)
        assert describe(config, dataset) == first
        assert len(read) == 1
        other = config.model_copy(update={"golds": ()})
        assert describe(other, dataset) == first[:1]
        gold = Path("a.jsonl")
        gold.write_text(gold.read_text().replace("B-LOC", "B-GPE"))
        assert describe(config, dataset)[1].types == ("GPE", "LOC", "PER")
    assert len(read) == 2
    describe(config, dataset)
    assert len(read) == 3, "outside of a run, nothing is remembered"


def test_every_format_in_one_run(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {ref.gold_name: ref for dataset in config.datasets for ref in describe(config, dataset)}
    assert list(found) == "conll conll-2 parquet parquet-2 json hub hub-2 hub-3 loader loader-2 loader-3".split()
    assert len({ref.words_sha256 for ref in found.values()}) == 1
    monkeypatch.setattr(corpora, "_open", type(corpora._open)())
    for name, ref in found.items():
        corpus = open_corpus(CorpusRef.model_validate_json(ref.model_dump_json()))
        assert corpus.words == WORDS
        assert corpus.tags == (NONE if name in {"parquet-2", "loader-2", "loader-3"} else TAGS), name


def test_a_corpus_that_changes_under_a_run(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = describe(config, config.datasets[2])[0]
    assert open_corpus(ref) is open_corpus(ref)
    monkeypatch.setattr(corpora, "_open", type(corpora._open)())
    path = Path(config.datasets[2].files["test"])
    path.write_text(path.read_text().replace("Bonn", "Rome"))
    with pytest.raises(CorpusError, match="data set json: changed while the run was reading it"):
        open_corpus(ref)
