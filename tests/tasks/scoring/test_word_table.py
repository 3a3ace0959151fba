"""The table for the conditions of custom slices."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from tagging import paired

from nerbench.artifacts.tables.schemas import schema
from nerbench.tasks.scoring.slice_expressions import COLUMNS
from nerbench.tasks.scoring.slices import word_table

GOLD = [["B-LOC", "I-LOC", "O"], ["O"], ["B-PER", "O"]]
PREDICTED = [["B-LOC", "O", "O"], ["B-ORG"], ["B-PER", "I-PER"]]


def test_all_columns() -> None:
    tagged = replace(
        paired(GOLD, PREDICTED, [0, 0, 1]),
        first_word=7,
        text=pa.chunked_array([["a", "b"], ["c", "d", "", "f"]]),
        score=np.array([0.5, np.nan, 1, 0.25, 0, 0.75], np.float32),
    )
    assert word_table(tagged).to_pydict() == {
        "document": [0, 0, 0, 0, 1, 1],
        "sentence": [0, 0, 0, 1, 2, 2],
        "word": [7, 8, 9, 10, 11, 12],
        "text": ["a", "b", "c", "d", "", "f"],
        "gold_tag": ["B-LOC", "I-LOC", "O", "O", "B-PER", "O"],
        "pred_tag": ["B-LOC", "O", "O", "B-ORG", "B-PER", "I-PER"],
        "score": [0.5, None, 1, 0.25, 0, 0.75],
        "sentence_length": [3, 3, 3, 1, 2, 2],
        "position": [0, 1, 2, 0, 0, 1],
    }


def test_it_has_the_types_of_predictions_and_the_columns_of_expressions() -> None:
    table = word_table(paired(GOLD, PREDICTED))
    assert table.column_names == list(COLUMNS)
    stored = schema("predictions")
    for name in set(table.column_names) & set(stored.names):
        assert table.schema.field(name).type == stored.field(name).type


def test_unknown_values_are_null() -> None:
    table = word_table(paired(GOLD, PREDICTED), ["text", "document", "score"])
    assert table.column_names == ["text", "document", "score"]
    assert all(column.null_count == table.num_rows for column in table.columns)


def test_text_that_is_a_dictionary() -> None:
    text = pa.chunked_array([["a", "b", "a"], ["c", "a", "c"]]).dictionary_encode()
    assert word_table(replace(paired(GOLD, PREDICTED), text=text), ["text"])["text"].to_pylist() == list("abacac")
