"""The error table, against the best of all pairings, the counts of `strict`, and the tags themselves."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from brute_force import Pair, all_pairs, described, parts_of
from hypothesis import given, settings
from tagging import Entity, Sentences, annotated, counted, random_sentences, textbook, totals

from nerbench.artifacts.tables.schemas import IDENTITY, schema
from nerbench.tasks.analysis.errors import LONGEST, errors
from nerbench.tasks.scoring.tagged_words import TaggedWords

Row = dict[str, Any]


def kind_of(pair: Pair) -> str | None:
    gold, predicted = pair
    if gold is None or predicted is None:
        return "spurious" if gold is None else "missed"
    if gold[1:3] == predicted[1:3]:
        return None if gold.type == predicted.type else "type"
    return "boundary" if gold.type == predicted.type else "type+boundary"


def side(name: str, entity: Entity | None, words: list[str]) -> Row:
    there = entity and {"start": entity.start, "end": entity.end, "label": entity.type}
    found: Row = there or dict.fromkeys(("start", "end", "label"))
    found["text"] = " ".join(words[entity.start : entity.end]) if entity else None
    return {f"{name}_{column}": value for column, value in found.items()}


def is_invalid(pair: Pair, tags: list[list[str]]) -> bool:
    """Whether conlleval reads an entity in these words that strict does not."""
    low, high = min(e.start for e in pair if e), max(e.end for e in pair if e)
    read = [set(textbook([side], "conlleval")) - set(textbook([side], "strict")) for side in tags]
    return any(entity.start < high and entity.end > low for found in read for entity in found)


def expected(tagged: TaggedWords, gold: Sentences, predicted: Sentences, documents: list[int] | None) -> list[Row]:
    assert tagged.text is not None
    assert tagged.score is not None
    rows = []
    starts = np.cumsum([0, *map(len, gold)])
    for pair in all_pairs(gold, predicted):
        if kind := kind_of(pair):
            judged = pair.predicted or pair.gold
            assert judged is not None
            number = judged.sentence
            words = tagged.text.to_pylist()[starts[number] : starts[number + 1]]
            rows.append(
                {
                    "kind": kind,
                    "document": documents[number] if documents else None,
                    "sentence": number,
                    **side("gold", pair.gold, words),
                    **side("pred", pair.predicted, words),
                    "sentence_text": " ".join(words),
                    "score": min(tagged.score[starts[number] :][judged.start : judged.end].tolist()),
                    "invalid": is_invalid(pair, [gold[number], predicted[number]]),
                }
            )
    return rows


def place(row: Row) -> tuple[int, int, int]:
    return row["sentence"], *(f(row[n] for n in names if row[n] is not None) for f, names in ENDS)  # type: ignore[return-value]


ENDS = ((min, ("gold_start", "pred_start")), (max, ("gold_end", "pred_end")))


@pytest.mark.parametrize("with_documents", [True, False])
@settings(max_examples=60, derandomize=True, deadline=None)
@given(annotated())
def test_every_error_of_the_best_pairing(with_documents: bool, data: tuple[Sentences, Sentences, list[int]]) -> None:
    gold, predicted, numbers = data
    documents = numbers if with_documents else None
    tagged = described(gold, predicted, documents)
    found = errors([tagged]).to_pylist()
    key = lambda row: (place(row), row["kind"])  # noqa: E731
    assert sorted(found, key=key) == sorted(expected(tagged, gold, predicted, documents), key=key)
    assert [place(row) for row in found] == sorted(place(row) for row in found)


@pytest.mark.parametrize("seed", range(5))
def test_kinds_add_up_to_the_counts_of_strict(seed: int) -> None:
    gold, predicted = random_sentences(seed, 60)
    strict = counted(gold, predicted)["strict"]
    n_gold, n_pred, tp = (sum(totals(strict, column).values()) for column in ("n_gold", "n_pred", "tp"))
    kinds = Counter(errors([described(gold, predicted)])["kind"].to_pylist())
    assert kinds.total() - kinds["spurious"] == n_gold - tp
    assert kinds.total() - kinds["missed"] == n_pred - tp
    assert len(kinds) == 5


def test_parts_make_the_whole_table() -> None:
    tagged = described(*random_sentences(1, 40), [n // 3 for n in range(40)])
    found = errors(parts_of(tagged, 7, 8, 30))
    assert found.to_pylist() == errors([tagged]).to_pylist()
    assert found.schema.names == [name for name in schema("errors").names if name not in {"run_date", *IDENTITY}]


def test_perfect_predictions_and_empty_corpora_have_no_errors() -> None:
    gold, _ = random_sentences(4, 30)
    assert errors([described(gold, gold)]).num_rows == 0
    assert errors([]).schema == errors([described(gold, gold)]).schema


def test_an_all_outside_model_misses_all_with_the_score_of_its_least_sure_word() -> None:
    tagged = replace(
        described(["B-PER I-PER O".split()], ["O O O".split()]), score=np.array([0.75, 0.5, 0.25], np.float32)
    )
    (row,) = errors([tagged]).to_pylist()
    assert (row["kind"], row["gold_text"], row["pred_text"], row["score"]) == ("missed", "w0 w1", None, 0.5)


def test_an_invalid_start_is_a_missed_entity() -> None:
    gold = ["O B-PER I-PER O".split(), "B-PER O O O".split()]
    predicted = ["O I-PER I-PER O".split(), "O O O O".split()]
    assert [row["invalid"] for row in errors([described(gold, predicted)]).to_pylist()] == [True, False]


@pytest.mark.parametrize("text", [None, pa.chunked_array([pa.nulls(3, pa.string())]), pa.chunked_array([pa.nulls(3)])])
def test_dropped_words_leave_places_and_types(text: pa.ChunkedArray | None) -> None:
    tagged = replace(described(["B-PER I-PER O".split()], ["B-PER O B-LOC".split()]), text=text, score=None)
    rows = errors([tagged]).to_pylist()
    assert [(row["kind"], row["gold_end"], row["pred_end"]) for row in rows] == [
        ("boundary", 2, 1),
        ("spurious", None, 3),
    ]
    assert {row[name] for row in rows for name in ("gold_text", "pred_text", "sentence_text", "score")} == {None}


def test_words_without_a_score_do_not_count() -> None:
    gold = ["B-PER I-PER B-LOC".split()]
    tagged = replace(described(gold, ["O O O".split()]), score=np.array([np.nan, 0.5, np.nan], np.float32))
    assert errors([tagged])["score"].to_pylist() == [0.5, None]


def test_words_in_a_dictionary_and_in_chunks_are_words() -> None:
    tagged = described(*random_sentences(1, 10))
    assert tagged.text is not None
    n = len(tagged.text) // 2
    chunks = [
        tagged.text.combine_chunks()[:n].dictionary_encode(),
        tagged.text.combine_chunks()[n:].dictionary_encode(),
    ]
    assert errors([replace(tagged, text=pa.chunked_array(chunks))]).equals(errors([tagged]))


def test_an_error_in_a_long_sentence_has_its_surrounding_words() -> None:
    n = 10_000
    gold = ["B-PER" if i % 10 == 0 else "O" for i in range(n)]
    tagged = described([gold], [["O"] * n])
    rows = errors([tagged]).to_pylist()
    assert len(rows) == n // 10
    words = rows[500]["sentence_text"].split(" ")
    assert words == [f"w{i}" for i in range(5000 - LONGEST // 2, 5001 + LONGEST // 2)]
    assert rows[0]["sentence_text"].startswith("w0 ")
    assert rows[-1]["sentence_text"].endswith(f" w{n - 1}")
    assert rows[500]["gold_start"] == 5000


def test_unicode_and_blanks_in_words_stay() -> None:
    words = ["Ærøskøbing", "東京\u00a0都", "👩‍👩‍👧"]
    tagged = replace(described(["B-LOC I-LOC O".split()], ["O O O".split()]), text=pa.chunked_array([words]))
    (row,) = errors([tagged]).to_pylist()
    assert row["gold_text"] == " ".join(words[:2])
    assert row["sentence_text"] == " ".join(words)
