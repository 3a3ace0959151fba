"""Streaming stored predictions: the parts do not matter, and incomplete files are refused."""

import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagging import Sentences, annotated, paired, predictions_table, random_sentences

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.prediction_files import digest_of
from nerbench.tasks.scoring import stored_predictions
from nerbench.tasks.scoring.counts import count
from nerbench.tasks.scoring.stored_predictions import PredictionsFile, read_predictions

SENTENCES = random_sentences(3, 40)
DOCUMENTS = [n // 4 for n in range(40)]
TABLE = predictions_table(*SENTENCES, DOCUMENTS)
NO_FIRST_DOCUMENT = pa.array(TABLE["document"].to_numpy(), mask=TABLE["sentence"].to_numpy() == 0)


def read(folder: Path, table: pa.Table, **options: Any) -> PredictionsFile:
    """The table in a file that was written without checks."""
    pq.write_table(table, folder / "one.parquet", **options)
    return read_predictions(str(folder), "one.parquet")


@settings(max_examples=40, derandomize=True, deadline=None)
@given(annotated(), st.integers(1, 9), st.integers(1, 20), st.booleans())
def test_parts_make_the_whole(
    tmp_path_factory: pytest.TempPathFactory,
    data: tuple[Sentences, Sentences, list[int]],
    part: int,
    row_group: int,
    with_documents: bool,
) -> None:
    gold, predicted, documents = data
    known = documents if with_documents else None
    table = predictions_table(gold, predicted, known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_predictions, "PART", part)
        found = read(tmp_path_factory.mktemp("results"), table, row_group_size=row_group)
        parts = list(found.parts())
    whole = paired(gold, predicted, known)
    assert (found.units, found.n_words) == (whole.units, len(whole.gold))
    for name in ("sentence", "unit_of", "sentence_starts"):
        joined = np.concatenate([getattr(one, name) for one in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))
    assert [one.first_word for one in parts] == [sum(len(p.gold) for p in parts[:n]) for n in range(len(parts))]
    assert list(chain.from_iterable(one.text.to_pylist() for one in parts if one.text)) == table["text"].to_pylist()
    scores = [one.score for one in parts if one.score is not None]
    np.testing.assert_array_equal(np.concatenate(scores), table["score"].to_numpy())
    labels = [{one.mode: one for one in count(tagged)}["conlleval"] for tagged in (parts, [whole])]
    at = [labels[1].labels.index(label) for label in labels[0].labels]
    np.testing.assert_array_equal(labels[0].values, labels[1].values[:, at])
    assert not np.delete(labels[1].values, at, axis=1).any()


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_file_of_a_store(tmp_path: Path, scheme: str) -> None:
    results = str(tmp_path) if scheme == "file" else f"memory://{tmp_path.name}"
    uri = write_table(results, "predictions", TABLE, date="2026-01-31", key="one")
    for name in (uri, uri.removeprefix(f"{results}/")):
        found = read_predictions(results, name)
        assert found.uri == uri
        assert found.identity._asdict() == {name: TABLE[name][0].as_py() for name in found.identity._fields}
        assert found.types == ("LOC", "ORG", "PER")
        assert found.units == ("document", 1, 10, 10)
        assert sum(len(part.gold) for part in found.parts()) == found.n_words == len(TABLE)


@pytest.mark.parametrize("documents", [DOCUMENTS, None])
def test_the_digest_is_that_of_the_evaluation(tmp_path: Path, documents: list[int] | None) -> None:
    gold, predicted = SENTENCES
    corpus = Corpus(name="x", split="test", words=gold, tags=gold, documents=documents)
    tags = pa.array(chain.from_iterable(predicted)).dictionary_encode()
    found = read(tmp_path, predictions_table(gold, predicted, documents))
    assert found.identity.predictions_digest == digest_of(corpus, tags)


def test_only_requested_columns_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, TABLE)
    for text, score in ((True, False), (False, True), (False, False)):
        (part,) = found.parts(text=text, score=score)
        assert (part.text is not None, part.score is not None) == (text, score)


def test_dropped_columns_are_none(tmp_path: Path) -> None:
    dropped = replaced("text", pa.nulls(len(TABLE), pa.string()))(TABLE)
    (part,) = read(tmp_path, dropped.drop_columns(["score"])).parts()
    assert part.text is part.score is None


def test_an_unknown_score_is_nan(tmp_path: Path) -> None:
    scores = pa.array([None, *TABLE["score"].to_pylist()[1:]], pa.float32())
    (part,) = read(tmp_path, replaced("score", scores)(TABLE)).parts()
    assert part.score is not None
    assert np.isnan(part.score).tolist() == [True] + [False] * (len(TABLE) - 1)


def test_types_are_those_that_occur(tmp_path: Path) -> None:
    tags = pa.chunked_array([TABLE["gold_tag"].combine_chunks().dictionary_encode()])
    (chunk,) = tags.chunks
    more = pa.DictionaryArray.from_arrays(chunk.indices, pa.concat_arrays([chunk.dictionary, pa.array(["B-UNUSED"])]))
    found = read(tmp_path, replaced("gold_tag", more)(TABLE))
    assert found.types == ("LOC", "ORG", "PER")
    assert sum(len(part.gold) for part in found.parts()) == len(TABLE)


Change = Callable[[pa.Table], pa.Table]


def replaced(name: str, values: Any) -> Change:
    return lambda table: table.set_column(table.column_names.index(name), name, values)


def with_row(name: str, row: int, value: object) -> Change:
    def change(table: pa.Table) -> pa.Table:
        values = table[name].to_pylist()
        return replaced(name, pa.array([*values[:row], value, *values[row + 1 :]], table[name].type))(table)

    return change


def without_sentence(number: int) -> Change:
    return lambda table: table.filter(pa.array(table["sentence"].to_numpy() != number))


def other_tag(table: pa.Table) -> pa.Table:
    return with_row("pred_tag", 5, "B-ORG" if table["pred_tag"][5].as_py() != "B-ORG" else "B-LOC")(table)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: table.slice(0, len(table) - 1), "not those of its predictions_digest"),
        (without_sentence(39), "not those of its predictions_digest"),
        (other_tag, "not those of its predictions_digest"),
        (with_row("predictions_digest", 0, "f" * 64), "not those of its predictions_digest"),
        (lambda table: table.slice(1), "word numbers are not consecutive from 0 on"),
        (without_sentence(7), "word numbers are not consecutive from"),
        (lambda table: pa.concat_tables([table, table]), "word numbers are not consecutive from"),
        (with_row("sentence", 0, 1), "sentence numbers are not consecutive after -1"),
        (with_row("sentence", len(TABLE) - 1, 41), "sentence numbers are not consecutive"),
        (with_row("document", len(TABLE) - 1, 11), "document numbers are not consecutive"),
        (with_row("document", 0, None), "document numbers are not consecutive"),
        (replaced("document", NO_FIRST_DOCUMENT), "only some words have a document"),
        (with_row("sentence", 3, None), "a sentence is null"),
        (with_row("word", 3, None), "a word is null"),
        (with_row("gold_tag", 3, None), "a gold_tag is null"),
        (with_row("pred_tag", 3, None), "a pred_tag is null"),
        (with_row("pred_tag", 3, "X-PER"), "'X-PER' is not an IOB2 tag"),
        (with_row("gold_tag", 3, "B-"), "'B-' is not an IOB2 tag"),
        (lambda table: table.drop_columns(["pred_tag"]), "no column pred_tag"),
        (lambda table: table.slice(0, 0), "has no words"),
    ],
)
def test_incomplete_rows(tmp_path: Path, change: Change, problem: str) -> None:
    with pytest.raises(CorruptArtifactError, match=rf"one\.parquet cannot be read: .*{problem}"):
        read(tmp_path, change(TABLE))


@pytest.mark.parametrize("results", ["file", "memory"])
def test_damaged_bytes(tmp_path: Path, results: str) -> None:
    url = str(tmp_path) if results == "file" else f"memory://{tmp_path.name}"
    path = write_table(url, "predictions", TABLE, date="2026-01-31", key="one").removeprefix(f"{url}/")
    with pytest.raises(CorruptArtifactError, match="is not there"):
        read_predictions(url, f"{path}.not")
    root = open_root(url)
    whole = root.read(path)
    half, flipped = whole[: len(whole) // 2], bytearray(whole)
    flipped[whole.index(b"B-PER") + 2] ^= 1  # a gold tag of another type, which is also a valid IOB2 tag
    for data in (half, b"", b"text", bytes(flipped)):
        root.replace(path, data)
        with pytest.raises(CorruptArtifactError, match="cannot be read"):
            read_predictions(url, path)


def test_a_file_that_is_damaged_between_two_looks(tmp_path: Path) -> None:
    found = read(tmp_path, TABLE)
    (tmp_path / "one.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorruptArtifactError, match="cannot be read"):
        next(found.parts())


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "one.parquet")
    with pytest.raises(CorruptArtifactError, match="not a regular file"):
        read_predictions(str(tmp_path), "one.parquet")
