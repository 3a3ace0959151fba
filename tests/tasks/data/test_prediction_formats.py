"""The same predictions in every format, and invalid files of predictions."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.prediction_formats import PredictionFormat, format_of, read_predictions_of
from nerbench.tasks.data.readers import Sentence

WORDS = [["Anna", "Berg", "left", "Oslo", "."], ["Rain", "."], ["Oslo", "and", "Paris"]]
TAGS = [["B-PER", "I-PER", "O", "B-LOC", "O"], ["O", "O"], ["B-LOC", "O", "B-LOC"]]
CORPUS = Corpus(name="own", split="test", words=WORDS, tags=[["O"] * len(words) for words in WORDS], documents=None)


def read(path: Path, format: PredictionFormat | None = None) -> tuple[list[Sentence], list[float]]:
    found = read_predictions_of(str(path), format or format_of(str(path)), "own", CORPUS)
    sentences = list(found.source.sentences)
    return sentences, list(found.scores)


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def in_conll(path: Path) -> Path:
    sentences = (zip(words, tags, strict=True) for words, tags in zip(WORDS, TAGS, strict=True))
    text = "\n".join("".join(f"{word} O {tag}\n" for word, tag in sentence) for sentence in sentences)
    return lines(path.with_suffix(".txt"), text)


def in_parquet(path: Path) -> Path:
    gold = [["O"] * len(words) for words in WORDS]
    pq.write_table(pa.table({"tokens": WORDS, "ner_tags": gold, "pred_tags": TAGS}), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def in_json(path: Path) -> Path:
    rows = ({"words": words, "tags": tags} for words, tags in zip(WORDS, TAGS, strict=True))
    return lines(path.with_suffix(".jsonl"), *rows)


def spans_of_words(path: Path) -> Path:
    spans = [[[0, 2, "PER"], [3, 4, "LOC"]], [], [[0, 1, "LOC"], [2, 3, "LOC"]]]
    rows = ({"tokens": words, "spans": of} for words, of in zip(WORDS, spans, strict=True))
    return lines(path.with_suffix(".jsonl"), *rows)


def spans_of_characters(path: Path) -> Path:
    """Two sentences in one text, and words without a blank between them."""
    oslo = {"start_offset": 15, "end_offset": 19, "label": "LOC"}
    return lines(
        path.with_suffix(".jsonl"),
        {"text": "Anna Berg left Oslo.  Rain .", "entities": [{"start": 0, "end": 9, "label": "PER"}, oslo]},
        {"text": " Oslo and Paris", "entities": [[1, 5, "LOC"], [10, 15, "LOC"]]},
    )


def of_predict(path: Path) -> Path:
    rows = (
        {"tokens": [{"text": word, "tag": tag} for word, tag in zip(words, tags, strict=True)], "entities": []}
        for words, tags in zip(WORDS, TAGS, strict=True)
    )
    return lines(path.with_suffix(".jsonl"), *rows)


@pytest.mark.parametrize("write", [in_conll, in_parquet, in_json, spans_of_words, spans_of_characters, of_predict])
def test_every_format_gives_the_same_predictions(write: Any, tmp_path: Path) -> None:
    sentences, _ = read(write(tmp_path / "predicted"))
    assert [sentence.words for sentence in sentences] == WORDS
    assert [sentence.tags for sentence in sentences] == TAGS


def test_scores_of_spans_are_those_of_their_words(tmp_path: Path) -> None:
    rows = [{"tokens": words, "spans": []} for words in WORDS]
    rows[0]["spans"] = [{"start": 0, "end": 2, "label": "PER", "score": 0.5}]
    _, scores = read(lines(tmp_path / "p.json", *rows))
    assert scores[:2] == [0.5, 0.5]
    assert all(map(math.isnan, scores[2:]))


TEXT = "Anna Berg left Oslo ."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "p.json:1: is not valid JSON"),
        ("[]", "p.json:1: is not a JSON object"),
        ({"spans": []}, "has neither text nor words"),
        (
            {"text": TEXT, "spans": [[0, 7, "PER"], [1, 4, "X"]]},
            "0–7 ('Anna Be') cuts a word of the corpus, and 1 more do",
        ),
        ({"text": TEXT, "spans": [[90, 95, "PER"]]}, "the span 90–95 covers no word"),
        (
            {"text": "Anna Borg left Oslo .", "spans": []},
            "found 'Borg left Oslo .', but own has 'Berg' (sentence 0, w",
        ),
        ({"text": "Anna", "spans": []}, "found the end of the text, but own has 'Berg' (sentence 0, word 1)"),
        ({"tokens": WORDS[0], "spans": [[0, 2, "PER"], [1, 2, "LOC"]]}, "the span 1–2 (LOC) overlaps another one"),
        ({"tokens": WORDS[0], "spans": [[4, 6, "PER"]]}, "the span 4–6 ends after the last word"),
        ({"tokens": WORDS[0], "spans": [[2, 2, "PER"]]}, "[2, 2, 'PER'] is not a span; write e.g."),
        (
            {"tokens": WORDS[0], "spans": [{"start": 0, "end": 1, "label": "X", "score": 7}]},
            "the score 7 is not in 0…1",
        ),
    ],
)
def test_refused_predictions_are_named(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        read(lines(tmp_path / "p.json", row))
    assert message in str(caught.value)


EXPORT = {
    "model": ["a"] * 10,
    "words_sha256": [CORPUS.words_sha256] * 10,
    "predictions_digest": ["d"] * 10,
    "gold": ["own"] * 10,
    "sentence": [number for number, words in enumerate(WORDS) for _ in words],
    "word": list(range(10)),
    "text": [word for words in WORDS for word in words],
    "pred_tag": [tag for tags in TAGS for tag in tags],
    "score": [0.5, None, *[1.0] * 8],
}


def exported(path: Path, **changes: Any) -> Path:
    one = EXPORT | {name: [value] * 10 for name, value in changes.items()}
    tables = [pa.table(EXPORT), *([pa.table(one)] if changes else [])]
    pq.write_table(pa.concat_tables(tables, promote_options="default"), path)
    return path


@pytest.mark.parametrize("changes", [{}, {"gold": "other"}, {"words_sha256": "0"}, {"model": "own", "gold": "own"}])
def test_an_export_holds_one_model_on_the_words(changes: dict[str, Any], tmp_path: Path) -> None:
    sentences, scores = read(exported(tmp_path / "p.parquet", **changes))
    assert [sentence.words for sentence in sentences] == WORDS
    assert [sentence.tags for sentence in sentences] == TAGS
    assert scores[0] == 0.5
    assert math.isnan(scores[1])


def test_an_export_without_words_has_their_digest(tmp_path: Path) -> None:
    pq.write_table(pa.table(EXPORT).drop_columns("text"), tmp_path / "p.parquet")
    assert [sentence.words for sentence in read(tmp_path / "p.parquet")[0]] == WORDS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "b"}, "holds predictions of a, b; name one of them with --model"),
        ({"predictions_digest": "e"}, "holds several predictions of a"),
        ({"pred_tag": "O"}, "has 20 words instead of 0 to 9"),
        ({"score": 7.0, "model": "own"}, "the score 7.0 is not in 0…1"),
        ({"pred_tag": None, "model": "own"}, "has words without a tag or a sentence"),
    ],
)
def test_an_export_must_be_unambiguous(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        read(exported(tmp_path / "p.parquet", **changes))


def test_an_export_of_other_words(tmp_path: Path) -> None:
    pq.write_table(pa.table(EXPORT | {"words_sha256": ["0"] * 10}), tmp_path / "p.parquet")
    with pytest.raises(CorpusError, match="holds no predictions for the words of own, test"):
        read(tmp_path / "p.parquet")


@pytest.mark.parametrize("changes", [{"sentence": "first"}, {"word": "second"}])
def test_an_export_with_columns_of_other_types(changes: dict[str, str], tmp_path: Path) -> None:
    pq.write_table(pa.table(EXPORT | {name: [value] * 10 for name, value in changes.items()}), tmp_path / "p.parquet")
    with pytest.raises(CorpusError, match=r"p\.parquet: cannot be read"):
        read(tmp_path / "p.parquet")


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_text("Oslo B-LOC\n")
    with pytest.raises(CorpusError, match=r"p\.parquet: is not a Parquet file"):
        read(tmp_path / "p.parquet")
