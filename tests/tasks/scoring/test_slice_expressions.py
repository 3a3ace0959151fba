"""Slice expressions have the same meaning as in Python, and no other Python is allowed."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.artifacts.errors import InputError
from nerbench.tasks.scoring.slice_expressions import (
    ALLOWED,
    COLUMNS,
    FUNCTIONS,
    MAX_CHARACTERS,
    MAX_DEPTH,
    Expression,
    parse,
)

TEXTS = ["NATO", "nato", "", "Ärzte", "ÄRZTE", "1996", "U.S.", "東京", "A'b\"", "O"]
WORDS: dict[str, list[Any]] = {
    "document": [0, 0, 0, 0, 1, 1, 1, 2, 2, 3],
    "sentence": [0, 0, 0, 1, 2, 2, 3, 4, 4, 5],
    "word": list(range(10)),
    "text": TEXTS,
    "gold_tag": ["B-ORG", "I-ORG", "O", "B-MISC", "O", "O", "B-LOC", "I-LOC", "O", "O"],
    "pred_tag": ["B-ORG", "O", "O", "B-MISC", "O", "I-PER", "B-LOC", "B-LOC", "O", "O"],
    "score": [0.5, 0.25, 1.0, 0.75, 0.9375, 0.5, 0.125, 0.0, 1.0, 0.5],
    "sentence_length": [3, 3, 3, 1, 2, 2, 1, 2, 2, 1],
    "position": [0, 1, 2, 0, 0, 1, 0, 0, 1, 0],
}
PYTHON = {
    "len": len,
    "lower": str.lower,
    "upper": str.upper,
    "is_upper": str.isupper,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def evaluate(expression: Expression) -> list[bool]:
    flags: list[bool] = expression.evaluate(pa.table(WORDS)).tolist()
    return flags


def by_python(where: str) -> list[bool]:
    """The same text evaluated by Python, word by word."""
    rows = [dict(zip(WORDS, values, strict=True)) for values in zip(*WORDS.values(), strict=True)]
    return [eval(where, {"__builtins__": {}} | PYTHON, row) for row in rows]


def refusal(where: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(where, "slice mine")
    message = str(caught.value)
    assert message.startswith("slice mine: where `")
    assert message.endswith(ALLOWED)
    assert "\n" not in message
    return caught.value.problem


def test_the_error_lists_the_language() -> None:
    assert set(COLUMNS) == set(WORDS)
    assert set(FUNCTIONS) == set(PYTHON)


@pytest.mark.parametrize(
    "where",
    [
        "sentence_length > 2",
        "0 <= position < 2 <= sentence_length",
        "text != lower(text) and text == upper(text)",
        "not (score < 0.5 or score >= 0.9)",
        "gold_tag != pred_tag and gold_tag not in ('O', 'B-ORG')",
        "text in ['NATO', 'Ärzte', '']",
        "position in (-1, 2.0)",
        "position not in ()",
        "text in ()",
        "startswith(lower(text), 'ä') or endswith(text, '.')",
        "startswith(text, '') and not startswith(text, 'x')",
        "len(text) % 2 == 1",
        "-position % 3 == 1",
        "word - 3 * document + sentence / 4 > 2.5",
        "is_upper(text)",
        "len(gold_tag) > len(pred_tag)",
        "'M' < text < 'b'",
        "1 < 2",
        "'a' == 'b' or len('ab') == 2",
        "'a' in ('a', 'b')",
        "2 in (1, 2)",
        "  word == 3\n",
        "word > 1 # why",
        "text == 'A\\'b\"'",
    ],
)
def test_examples_mean_the_same_as_in_python(where: str) -> None:
    assert evaluate(parse(where, "mine")) == by_python(where.strip())


NUMBERS = st.recursive(
    st.sampled_from(["word", "position", "score", "sentence_length", "len(text)", "len(lower(gold_tag))", "2", "0.5"]),
    lambda inner: (
        st.builds(lambda left, op, right: f"({left} {op} {right})", inner, st.sampled_from("+-*"), inner)
        | st.builds(lambda value: f"(-{value} % 7)", inner)
    ),
    max_leaves=4,
)
TEXT = st.sampled_from(["text", "gold_tag", "pred_tag", "lower(text)", "upper(pred_tag)", "'O'", "'NATO'", "'ä'"])
COMPARISON = st.sampled_from(["<", "<=", "==", "!=", ">", ">="])
CONDITIONS = st.recursive(
    st.builds(lambda *parts: " ".join(parts), NUMBERS, COMPARISON, NUMBERS, COMPARISON, NUMBERS)
    | st.builds(lambda *parts: " ".join(parts), TEXT, COMPARISON, TEXT)
    | st.builds(lambda text, op: f"{text} {op} ('O', 'B-LOC', 'nato')", TEXT, st.sampled_from(["in", "not in"]))
    | st.builds(lambda number, op: f"{number} {op} (0, 1, -2.5)", NUMBERS, st.sampled_from(["in", "not in"]))
    | st.builds(lambda name, text: f"{name}({text}, 'B')", st.sampled_from(["startswith", "endswith"]), TEXT),
    lambda inner: (
        st.builds(lambda left, op, right: f"({left}) {op} ({right})", inner, st.sampled_from(["and", "or"]), inner)
        | st.builds(lambda value: f"not ({value})", inner)
    ),
    max_leaves=5,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(CONDITIONS)
def test_random_expressions_mean_the_same_as_in_python(where: str) -> None:
    assert evaluate(parse(where, "mine")) == by_python(where)


def test_letters_are_compared_by_one_character_each() -> None:
    words = pa.table({"text": ["straße", "STRASSE", "ﬁ"]})
    assert parse("len(upper(text)) == len(text)", "mine").evaluate(words).tolist() == [True] * 3


def test_a_division_by_zero_and_an_unknown_score_are_no_errors() -> None:
    words = pa.table({"word": [0, 1], "score": pa.array([None, 0.75], pa.float32())})
    assert parse("1 / word > 1e300", "mine").evaluate(words).tolist() == [True, False]
    assert parse("word % 0 == word % 0", "mine").evaluate(words).tolist() == [False, False]
    assert parse("score >= 0 or score < 0", "mine").evaluate(words).tolist() == [False, True]
    assert parse("9999999999999999999999 * 1e999 > 0", "mine").evaluate(words).tolist() == [True, True]


def test_the_columns_it_names() -> None:
    assert parse("len(text) > 1 and score < 1 < word", "mine").columns == {"text", "score", "word"}
    assert parse("1 < 2", "mine").columns == frozenset()


@pytest.mark.parametrize(
    "where",
    [
        "__import__('os').system('true')",
        "__import__('os')",
        "().__class__.__bases__[0].__subclasses__() == 1",
        "text.lower() == 'a'",
        "text.__class__ == 'a'",
        "(lambda: 1 < 2)()",
        "len(lambda: text) == 1",
        "[word for word in (1, 2)] == 1",
        "len({text}) == 1",
        "word in (x for x in (1, 2))",
        "f'{text}' == 'a'",
        "text == f'{__import__(\"os\")}'",
        "9**9**9 > 1",
        "word ** 2 > 1",
        "word // 2 > 1",
        "~word > 1",
        "word & 1 > 0",
        "text[0] == 'a'",
        "(word := 1) > 0",
        "1 < 2 if word > 1 else 2 < 1",
        "word is 1",
        "print(text)",
        "eval('1 < 2')",
        "len(*text) == 1",
        "len(text=text) == 1",
        "startswith(text, **{}) ",
        "__builtins__ == 1",
        "None == 1",
        "True",
        "text == b'a'",
        "word == 1j",
        "await text",
        "import os",
        "word = 1",
        "",
        "(",
        "\0",
        "word >\n1",
        "word == 1" + "0" * 400,
    ],
)  # fmt: skip
def test_nothing_else_of_python_can_be_written(where: str) -> None:
    refusal(where)


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("sentence_lenght > 3", "there is no column sentence_lenght"),
        ("text", "`text` is a text where a condition is needed"),
        ("word + 1", "`word + 1` is a number where a condition is needed"),
        ("text > 3", "`3` is a number where a text is needed"),
        ("word == 'a'", "`'a'` is a text where a number is needed"),
        ("word in (1, 'a')", "`'a'` is a text where a number is needed"),
        ("text in (1,)", "`1` is a number where a text is needed"),
        ("text in 'abc'", "`in` needs a list that is written out, and `'abc'` is none"),
        ("text in (pred_tag, 'O')", "`pred_tag` in a list is not written out"),
        ("word in ((1, 2),)", "`(1, 2)` in a list is not written out"),
        ("not word", "`word` is a number where a condition is needed"),
        ("word and word > 1", "`word` is a number where a condition is needed"),
        ("is_upper(text) == is_upper(pred_tag)", "`is_upper(text)` is a condition, which cannot be compared"),
        ("text + 'a' == 'b'", "`text` is a text where a number is needed"),
        ("len(word) > 1", "`word` is a number where a text is needed"),
        ("startswith(text)", "`startswith(text)` has 1 arguments instead of 2"),
        (
            "startswith(text, pred_tag)",
            "the second argument of `startswith(text, pred_tag)` is not a text literal",
        ),
        ("startswith(text, 3)", "the second argument of `startswith(text, 3)` is not a text literal"),
        ("text.lower() == 'a'", "`text.lower()` is not allowed"),
        ("word is 1", "`is` is not allowed"),
        ("word >", "is not an expression (invalid syntax)"),
        ("word == 1" + "0" * 400, "has a number that is too large"),
    ],
)
def test_errors_name_the_problem(where: str, problem: str) -> None:
    assert refusal(where).startswith(problem)


@pytest.mark.parametrize(
    "where",
    [
        "(" * 900 + "word" + ")" * 900,
        "not " * 400 + "word > 1",
        "-" * 1900 + "word > 1",
        "word" + " + 1" * 400 + " > 1",
        "len(" * 300 + "text" + ")" * 300 + " > 1",
        "text" + ".x" * 900 + " == 'a'",
        "[" * 1000,
        "1" * 5000,
        "word > 1 or " * 1000 + "word > 2",
        "text == '\ud800'",
    ],
)
def test_hostile_sizes_and_characters(where: str) -> None:
    refusal(where)


def test_the_limits_leave_room() -> None:
    assert evaluate(parse("not " * (MAX_DEPTH - 2) + "word > 3", "mine")) == by_python("word > 3")
    assert "nested deeper than 40 levels" in refusal("not " * MAX_DEPTH + "word > 3")
    long = " or ".join(["word == 3"] * 150)
    assert len(long) < MAX_CHARACTERS
    assert evaluate(parse(long, "mine")) == by_python("word == 3")
