"""Stored predictions are renamed part by part, however their file is divided."""

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.tasks.data.arrow_cache import CHUNK, Column, table_from_batches
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import read_tags, split_tag
from nerbench.tasks.inference.prediction_files import SCHEMA
from nerbench.tasks.scoring.score_predictions import renamed_parts

LABELS = ("O", "B-PERSON", "I-PERSON", "B-LOC")
READING = read_tags(
    {label: tag for label in LABELS if (tag := split_tag(label, "auto"))},
    inside_begins=False,
    label_map={"PERSON": "PER"},
    ignore_labels=frozenset(),
)


@pytest.fixture
def corpus() -> Corpus:
    lengths = [1 + number % 3 for number in range(2 * CHUNK + 5)]
    words = Column.of([["x"] * length for length in lengths])
    return Corpus(name="c", split="test", words=words, tags=words, documents=None)


def stored(path: Path, labels: list[str], rows_a_group: int) -> pq.ParquetFile:
    """A file whose row groups have different dictionaries."""
    columns = {"document": pa.nulls(len(labels), pa.int32()), "score": pa.array([0.5] * len(labels), pa.float32())}
    numbers = pa.array(range(len(labels)), pa.int32())
    rows = pa.table(columns | {"sentence": numbers, "word": numbers, "pred": labels}).select(SCHEMA.names)
    with pq.ParquetWriter(path, rows.schema) as writer:
        for start in range(0, len(labels), rows_a_group):
            writer.write_table(rows.slice(start, rows_a_group))
    return pq.ParquetFile(path, read_dictionary=["pred"])


@pytest.mark.parametrize("rows_a_group", [777, 5_000, 100_000])
def test_a_file_may_be_divided_in_any_way(rows_a_group: int, corpus: Corpus, tmp_path: Path) -> None:
    labels = Random(0).choices(LABELS, k=corpus.n_words)
    with stored(tmp_path / "a.parquet", labels, rows_a_group) as file:
        found = table_from_batches(renamed_parts(file, READING, corpus), SCHEMA)
    assert found["pred"].to_pylist() == [label.replace("PERSON", "PER") for label in labels]
    assert found["word"].to_pylist() == list(range(corpus.n_words))
    assert found["pred"].num_chunks == 3, "one for each part of the corpus"


@pytest.mark.parametrize("change", ["further", "absent", "numbers"])
def test_other_columns_are_refused(change: str, corpus: Corpus, tmp_path: Path) -> None:
    stored(tmp_path / "a.parquet", ["O"] * corpus.n_words, 5_000).close()
    rows = pq.read_table(tmp_path / "a.parquet")
    changed = {
        "further": rows.append_column("text", rows["pred"]),
        "absent": rows.drop_columns("score"),
        "numbers": rows.set_column(3, "pred", rows["word"]),
    }
    pq.write_table(changed[change], tmp_path / "b.parquet")
    with (
        pq.ParquetFile(tmp_path / "b.parquet", read_dictionary=["pred"]) as file,
        pytest.raises(ValueError, match="other columns"),
    ):
        next(renamed_parts(file, READING, corpus))


def test_predictions_of_other_words_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with (
        stored(tmp_path / "a.parquet", ["O"] * (corpus.n_words - 1), 777) as file,
        pytest.raises(ValueError, match="words"),
    ):
        next(renamed_parts(file, READING, corpus))
