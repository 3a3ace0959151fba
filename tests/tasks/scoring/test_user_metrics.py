"""Custom metrics: their files, their arguments, and every kind of failure."""

import ast
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tagging import cut, paired, random_sentences, textbook

from nerbench.artifacts.errors import InputError
from nerbench.tasks.scoring.benchmark_functions import collect
from nerbench.tasks.scoring.counts import count
from nerbench.tasks.scoring.metrics import Metric, Row
from nerbench.tasks.scoring.score import ROW, score
from nerbench.tasks.scoring.tagged_words import TaggedWords
from nerbench.tasks.scoring.user_metrics import SCHEMA, Identity, Predictions, TaggedEntity, run_custom

EXAMPLE = Path(__file__).with_name("my_metrics.py")
IDENTITY = Identity(model="m", artifact_id="a", dataset="d", gold="g", split="test")
Write = Callable[..., Path]


def predictions(gold: str, predicted: str, *, firsts: tuple[int, ...] = (), **changes: Any) -> Predictions:
    """Sentences are separated by `|`, in one document each; words are w0, w1, … and scores 0.5, 0.51, …"""
    sentences = [[tags.split() for tags in text.split("|")] for text in (gold, predicted)]
    tagged = paired(sentences[0], sentences[1], range(len(sentences[0])))
    known = [
        replace(
            part,
            text=pa.chunked_array([[f"w{part.first_word + at}" for at in range(len(part.gold))]]),
            score=(0.5 + (part.first_word + np.arange(len(part.gold))) / 100).astype(np.float32),
        )
        for part in cut(tagged, firsts)
    ]
    return Predictions(
        identity=IDENTITY, types=tagged.types, parts=lambda: [replace(part, **changes) for part in known]
    )


SMALL = predictions("B-PER I-PER O | B-LOC O", "B-PER I-PER O | B-ORG B-LOC")


def rows_of(path: Path, given: Predictions = SMALL, **options: Any) -> list[Row]:
    return run_custom(collect([path]), given, **options)


# Results of a metric


def test_the_example_of_the_documents() -> None:
    model = SimpleNamespace(parameters=lambda: [SimpleNamespace(numel=lambda: 3), SimpleNamespace(numel=lambda: 4)])
    given = predictions("B-PER I-PER O | B-LOC I-LOC I-LOC", "B-PER I-PER O | B-LOC I-LOC O")
    rows = run_custom(collect([EXAMPLE]), given, lambda: SimpleNamespace(model=model))  # type: ignore[arg-type,return-value]
    found = {(row["metric"], row["label"], row["parameters"]): row["value"] for row in rows}
    assert found == {
        ("long_recall", "LOC", "words=2"): 0.0,
        ("long_recall", "LOC", "words=3"): 0.0,
        ("long_recall", "ORG", "words=2"): None,
        ("long_recall", "ORG", "words=3"): None,
        ("long_recall", "PER", "words=2"): 1.0,
        ("long_recall", "PER", "words=3"): None,
        ("sure.mean", "overall", None): pytest.approx(0.525),
        ("sure.least", "overall", None): pytest.approx(0.5),
        ("parameters", "overall", None): 7.0,
    }
    assert {row["reason"] for row in rows if row["value"] is None} == {"none so long in the gold"}


def test_the_example_is_in_the_documents() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/explanation/scores.md").read_text()
    block = re.search(r"```python\n# my_metrics.py\n(.*?)```", page, re.DOTALL)
    assert block
    tested = {ast.unparse(node) for node in ast.parse(EXAMPLE.read_text()).body}
    assert {ast.unparse(node) for node in ast.parse(block[1]).body} <= tested


def test_metrics_of_counts_in_a_file_are_scored_with_the_built_in_ones() -> None:
    counts = count(SMALL.parts())
    rows = [row for row in score(counts, "overall", metrics=collect([EXAMPLE])) if row["metric"] == "fbeta"]
    assert {row["mode"] for row in rows} == {one.mode for one in counts}
    micro = {r["parameters"]: r for r in rows if (r["mode"], r["average"]) == ("strict", "micro")}
    # One of three predicted entities is correct, and one of two gold entities is found.
    assert micro["beta=2"]["value"] == pytest.approx(5 / (4 * 2 + 3))
    assert micro["beta=0.5"]["value"] == pytest.approx(1.25 / (0.25 * 2 + 3))


def test_a_row_names_its_source(write: Write) -> None:
    path = write("@metric('n')\ndef n(predictions): return predictions.table.num_rows")
    (row,) = rows_of(path)
    expected = {"slice": "all", "level": "custom", "mode": "custom", "label": "overall", "average": "", "metric": "n"}
    source = f"mine.py@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert row == ROW | expected | {"value": 5.0, "source": source, "status": "ok"}


@pytest.mark.parametrize(
    ("given", "value", "status", "reason"),
    [
        ("3", 3.0, "ok", None),
        ("True", 1.0, "ok", None),
        ("__import__('numpy').float32(0.5)", 0.5, "ok", None),
        ("__import__('numpy').array(2)", 2.0, "ok", None),
        ("__import__('fractions').Fraction(1, 4)", 0.25, "ok", None),
        ("None", None, "undefined", "why not"),
        ("float('nan')", None, "undefined", "why not"),
        ("__import__('numpy').nan", None, "undefined", "why not"),
        ("float('-inf')", None, "failed", "it returned -inf"),
        ("'0.5'", None, "failed", "it returned str, which is not a number"),
        ("[1]", None, "failed", "it returned list, which is not a number"),
        ("__import__('numpy').zeros(2)", None, "failed", "it returned ndarray, which is not a number"),
        ("{}", None, "failed", "it returned an empty mapping"),
        ("1 / 0", None, "failed", "ZeroDivisionError: division by zero (mine.py:3)"),
        ("open('no' + chr(10) + 'file')", None, "failed", "FileNotFoundError: [Errno 2] No such file or directory"),
    ],
)
def test_results_of_metrics(
    given: str, value: float | None, status: str, reason: str | None, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(f"@metric('x', undefined='why not')\ndef x(predictions): return {given}")
    (row,) = rows_of(path)
    assert (row["value"], row["status"]) == (value, status)
    assert row["reason"] == reason if reason is None else row["reason"].startswith(reason)
    assert [record.levelname for record in caplog.records] == (["WARNING"] if status == "failed" else [])


def test_a_failing_metric_stops_no_other(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(
        "@metric('bad', labels='all')\ndef bad(predictions, *, label): raise ValueError('a\\nb' + 500 * 'c')",
        "@metric('typed')\ndef typed(predictions, *, label): return 1",
        "@metric('named')\ndef named(predictions): return {'a': 1, 'b': 'c', 3: float('nan')}",
    )
    rows = rows_of(path)
    statuses = {(row["metric"], row["label"]): row["status"] for row in rows}
    assert statuses == {
        **{("bad", kind): "failed" for kind in ("LOC", "ORG", "PER")},
        ("typed", "overall"): "failed",
        ("named.a", "overall"): "ok",
        ("named.b", "overall"): "failed",
        ("named.3", "overall"): "undefined",
    }
    assert rows[0]["reason"].startswith("ValueError: a bccc")
    assert rows[0]["reason"].endswith(" (mine.py:3)")
    assert len(rows[0]["reason"]) == 300
    assert "required keyword-only argument: 'label'" in rows[3]["reason"]
    assert len(caplog.records) == 3  # the one of three labels once


def test_an_interruption_passes(write: Write) -> None:
    path = write("@metric('x')\ndef x(predictions): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        rows_of(path)


def test_labels_and_grid(write: Write) -> None:
    path = write(
        "@metric('x', labels=['PER', 'DATE'], parameters={'k': [1, 2], 'by': ['a']})",
        "def x(predictions, *, label, k, by): return k if label == 'PER' else -k",
    )
    found = [(row["label"], row["parameters"], row["value"]) for row in rows_of(path)]
    assert found == [
        ("PER", "by=a, k=1", 1.0),
        ("PER", "by=a, k=2", 2.0),
        ("DATE", "by=a, k=1", -1.0),
        ("DATE", "by=a, k=2", -2.0),
    ]


# The model


MODEL = "@metric('{0}', needs='model')\ndef {0}(predictions, tagger): return tagger.window"


def test_the_model_is_loaded_once_and_only_if_it_is_needed(write: Write) -> None:
    loaded: list[Any] = []

    def load() -> Any:
        loaded.append(SimpleNamespace(window=512))
        return loaded[-1]

    plain = "@metric('z')\ndef z(predictions): return 0"
    assert [row["value"] for row in rows_of(write(plain), load_model=load)] == [0.0]
    assert not loaded
    path = write(MODEL.format("x"), MODEL.format("y"), plain, name="other.py")
    assert [row["value"] for row in rows_of(path, load_model=load)] == [512.0, 512.0, 0.0]
    assert len(loaded) == 1


def test_without_the_model_metrics_that_need_it_fail_alone(write: Write) -> None:
    def broken() -> Any:
        raise InputError("model m", "cannot be loaded", "pull it again")

    path = write(MODEL.format("x"), "@metric('z')\ndef z(predictions): return 0")
    for options, reason in (
        ({}, "it needs the model, which is not loaded for scoring stored predictions"),
        ({"load_model": broken}, "the model cannot be loaded: InputError: model m: cannot be loaded; pull it again"),
    ):
        x, z = rows_of(path, **options)
        assert (x["status"], x["reason"]) == ("failed", reason)
        assert z["value"] == 0.0


# The files


def test_files_do_not_see_each_others_metrics(write: Write) -> None:
    one = write("@metric('a')\ndef a(predictions): return 1", name="neighbour_of_two.py")
    two = write(
        "from neighbour_of_two import a\n@metric('b')\ndef b(predictions): return a(predictions) + 1", name="two.py"
    )
    assert [metric.name for metric in collect([two])] == ["b"]
    assert [(r["metric"], r["value"]) for r in run_custom(collect([two, one]), SMALL)] == [("b", 2.0), ("a", 1.0)]


def test_a_changed_file_is_read_again(write: Write) -> None:
    body = "@metric('a')\ndef a(predictions): return {}"
    first = rows_of(write(body.format(1)))
    second = rows_of(write(body.format(2)))
    assert [row["value"] for row in first + second] == [1.0, 2.0]
    assert first[0]["source"] != second[0]["source"]


def test_decorated_functions_are_metrics_too(write: Write) -> None:
    path = write(
        "from functools import lru_cache, wraps",
        "@metric('a')\n@lru_cache\ndef a(predictions): return 1",
        "@metric('b')\n@wraps(a)\ndef b(*args): return 2",
    )
    assert [row["value"] for row in rows_of(path)] == [1.0, 2.0]


FIRST = "@metric('a')\ndef a(predictions): return 1"


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ([FIRST, FIRST], r"two metrics are called 'a': \S+mine\.py:2 and \S+mine\.py:4; rename one"),
        (
            [FIRST.replace("'a'", "'f1'")],
            r"the metric 'f1' \(\S+mine\.py:2\) has the name of a built-in one; rename it",
        ),
        ([FIRST.replace("'a'", "'a b'")], "metric 'a b': is not a valid name; begin with a letter"),
        ([FIRST.replace("'a'", "'a', tags='x'")], "metric 'a': tags are 'x'; give a list"),
        (["def a(predictions): return 1"], "it defines no metric and no benchmark function; decorate a function"),
        ([FIRST.removesuffix("return 1")], r"it cannot be loaded \(.*Error: .*\); correct .*mine\.py:"),
        ([FIRST, "1 / 0"], r"it cannot be loaded \(ZeroDivisionError.*mine\.py:4"),
    ],
    ids=["twins", "built-in", "name", "tags", "none", "syntax", "fails"],
)
def test_wrong_files(functions: list[str], message: str, write: Write) -> None:
    path = write(*functions)
    with pytest.raises(InputError, match=f"^{path}: {message}"):
        collect([path])


def test_two_files_with_one_name(write: Write) -> None:
    one, two = (write(FIRST, name=name) for name in ("one.py", "two.py"))
    with pytest.raises(InputError, match=r"'a': \S+one\.py:2 and \S+two\.py:2"):
        collect([one, two])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        collect([tmp_path / "none.py"])


# Arguments of a metric


@pytest.mark.parametrize("firsts", [(), (5, 6, 20)], ids=["whole", "parts"])
def test_entities_are_those_of_the_textbook(firsts: tuple[int, ...]) -> None:
    gold, predicted = random_sentences(3, 40)
    given = predictions(*("|".join(" ".join(tags) for tags in s) for s in (gold, predicted)), firsts=firsts)
    starts = np.cumsum([0, *map(len, gold)]).tolist()
    for found, sentences in ((given.gold, gold), (given.predicted, predicted)):
        expected = [
            (s, s, starts[s] + start, starts[s] + end, kind, " ".join(f"w{starts[s] + n}" for n in range(start, end)))
            for s, start, end, kind in textbook(sentences, "strict")
        ]
        assert [one[:6] for one in found] == expected
    assert {one.score for one in given.gold} == {None}
    assert [one.score for one in given.predicted] == pytest.approx([0.5 + one.start / 100 for one in given.predicted])


def test_the_table_is_the_same_in_parts() -> None:
    whole, parts = (predictions("B-PER O | O | B-LOC", "O O | B-ORG | B-LOC", firsts=f).table for f in ((), (1, 2)))
    assert whole.schema == parts.schema == SCHEMA
    assert whole.to_pylist() == parts.to_pylist()
    assert whole.to_pylist()[2] == {
        "document": 1,
        "sentence": 1,
        "word": 2,
        "text": "w2",
        "gold_tag": "O",
        "pred_tag": "B-ORG",
        "score": pytest.approx(0.52),
    }


def test_dropped_columns_are_null() -> None:
    bare = predictions("B-PER", "B-PER", document=None, text=None, score=None)
    (row,) = bare.table.to_pylist()
    assert (row["document"], row["text"], row["score"]) == (None, None, None)
    assert bare.predicted == (TaggedEntity(None, 0, 0, 1, "PER", None, None),)


def test_the_confidence_of_an_entity_is_its_lowest_known_score() -> None:
    scores = np.array([0.9, np.nan, 0.8, np.nan], np.float32)
    given = predictions("B-PER I-PER I-PER B-LOC", "B-PER I-PER I-PER B-LOC", score=scores)
    assert [one.score for one in given.predicted] == [pytest.approx(0.8), None]
    assert given.table["score"].null_count == 2


def test_an_empty_corpus() -> None:
    nothing = Predictions(identity=IDENTITY, types=(), parts=list)
    assert (nothing.table.num_rows, nothing.gold, nothing.to_pandas().empty) == (0, (), True)


def test_predictions_are_read_once_and_lazily() -> None:
    reads: list[int] = []

    def parts() -> Iterator[TaggedWords]:
        reads.append(1)
        return iter(SMALL.parts())

    lazy = Predictions(identity=IDENTITY, types=SMALL.types, parts=parts)
    assert not reads
    assert lazy.gold is lazy.gold
    assert lazy.table is lazy.table
    assert len(reads) == 2


def test_metrics_of_counts_are_not_called_with_predictions() -> None:
    fbeta: Metric = next(one for one in collect([EXAMPLE]) if one.name == "fbeta")
    assert run_custom([fbeta], SMALL) == []
