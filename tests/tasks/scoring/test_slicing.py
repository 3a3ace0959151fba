"""Available slices, and custom slices by expressions and functions with their errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tagging import cut, paired

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import SliceConfig
from nerbench.tasks.scoring.entities import extract
from nerbench.tasks.scoring.slices import Slice, Slices, slices_for, standard_slices, survey_of, user_slices
from nerbench.tasks.scoring.tagged_words import TaggedWords
from nerbench.tasks.scoring.training_mentions import Mentions, Unavailable

GOLD = [["B-LOC", "I-LOC", "O"], ["B-PER"], ["B-PER", "O"], ["B-ORG"]]
STANDARD = [one.name for one in standard_slices(survey_of([]), frozenset())]
UNKNOWN = Unavailable("its manifest names no training corpus")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def whole(*, text: bool = True, documents: bool = True, score: bool = True) -> TaggedWords:
    return replace(
        paired(GOLD, GOLD, [0, 0, 1, 1] if documents else None),
        text=pa.chunked_array([["New", "York", "is", "ADA", "Bo", "x", "UN"]]) if text else None,
        score=np.linspace(0.4, 1, 7, dtype=np.float32) if score else None,
    )


def where(name: str, expression: str) -> SliceConfig:
    return SliceConfig(name=name, where=expression)


def function(source: str) -> SliceConfig:
    Path("mine.py").write_text(source)
    return SliceConfig(name="mine", function="mine.py:mine")


def chosen(*configured: SliceConfig, tagged: TaggedWords, training: Mentions | Unavailable = UNKNOWN) -> Slices:
    return slices_for(configured, parts=lambda: [tagged], training=training)


def members(one: Slice, tagged: TaggedWords) -> list[bool]:
    """Whether New York, ADA, Bo and UN are in a slice."""
    flags: list[bool] = one.of(tagged, extract(tagged.gold, tagged.sentence_starts, "strict")).tolist()
    return flags


def test_available_slices() -> None:
    slices = chosen(tagged=whole(), training=frozenset())
    assert [one.name for one in slices.ready] == STANDARD
    assert slices.unavailable == {}


def test_unavailable_slices_have_reasons() -> None:
    own = [where("short", "len(text) < 3"), where("sure", "score > 0.5"), where("early", "document < 1 and score > 0")]
    slices = chosen(*own, tagged=whole(text=False, documents=False, score=False))
    no_text, no_documents = "the words were not kept (text: drop)", "the corpus has no documents"
    assert slices.unavailable == {
        "seen": f"{no_text}; {UNKNOWN.reason}",
        "unseen": f"{no_text}; {UNKNOWN.reason}",
        "all_caps": no_text,
        "duplicated": no_text,
        "first_sentence": no_documents,
        "later_sentence": no_documents,
        "short": no_text,
        "sure": "the predictions have no scores",
        "early": f"{no_documents}; the predictions have no scores",
    }
    assert [one.name for one in slices.ready] == [name for name in STANDARD if name not in slices.unavailable]
    assert chosen(tagged=whole()).unavailable == dict.fromkeys(("seen", "unseen"), UNKNOWN.reason)


def test_scores_that_one_part_lacks() -> None:
    tagged = whole()
    parts = [replace(part, score=None if part.first_word else tagged.score[:3]) for part in cut(tagged, [1])]
    one = slices_for([where("sure", "score >= 0")], parts=lambda: parts, training=UNKNOWN).ready[-1]
    assert one.name == "sure"
    assert [members(one, part) for part in parts] == [[True], [False, False, False]]


def test_the_corpus_is_passed_through_once() -> None:
    passes = []
    slices_for([], parts=lambda: passes.append(1) or [whole()], training=UNKNOWN)
    assert passes == [1]


def test_expressions() -> None:
    for expression, expected in {
        "text == upper(text)": [False, True, False, True],
        "position == 0 and sentence_length < 3": [False, True, True, True],
        "document == 1": [False, False, True, True],
        "score > 0.65": [False, True, True, True],
        "startswith(gold_tag, 'B-') and pred_tag not in ('B-PER',)": [True, False, False, True],
        "word > 3": [False, False, True, True],
        "text == 'York'": [False] * 4,  # the first word of an entity decides
        "1 < 2": [True] * 4,
    }.items():
        one = chosen(where("mine", expression), tagged=whole()).ready[-1]
        assert (one.name, members(one, whole())) == ("mine", expected), expression


@pytest.mark.parametrize(
    "body",
    [
        "return [len(text) < 3 for text in words['text'].to_pylist()]",
        "return np.array([len(text) < 3 for text in words['text'].to_pylist()])",
        "return pc.less(pc.utf8_length(words['text']), 3)",
        "return pa.array([len(text) < 3 for text in words['text'].to_pylist()])",
        "return tuple(len(text) < 3 for text in words.to_pydict()['text'])",
    ],
)
def test_functions(body: str) -> None:
    source = f"import numpy as np, pyarrow as pa, pyarrow.compute as pc\ndef mine(words):\n    {body}\n"
    tagged = whole()
    one = chosen(function(source), tagged=tagged).ready[-1]
    assert members(one, tagged) == [False, False, True, True]
    assert [members(one, part) for part in parts_with_text(tagged)] == [[False], [False, True, True]]


def parts_with_text(tagged: TaggedWords) -> list[TaggedWords]:
    assert tagged.text is not None
    return [
        replace(part, text=tagged.text.slice(part.first_word, len(part.gold)), score=None) for part in cut(tagged, [1])
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "mine.py:mine failed with ZeroDivisionError: division by zero; correct {}/mine.py:2"),
        ("return words['nothing']", "mine.py:mine failed with KeyError: "),
        ("return [True]", "gives bool of shape (1,), not True or False for each of 7 words"),
        ("return [1] * 7", "gives int64 of shape (7,), not True or False for each of 7 words"),
        ("return [None] * 7", "gives object of shape (7,), not True or False"),
        ("return None", "gives object of shape (), not True or False"),
        ("return [[True]] * 7", "gives bool of shape (7, 1), not True or False"),
        ("return [[True], []]", "mine.py:mine failed with ValueError: "),
        ("yield True", "gives object of shape (), not True or False"),
        ("import pyarrow.compute as pc; return pc.equal(words['score'], None)", "gives object of shape (7,)"),
    ],
)
def test_functions_that_fail(folder: Path, body: str, message: str) -> None:
    one = user_slices([function(f"def mine(words):\n    {body}\n")])[0]
    with pytest.raises(InputError) as caught:
        members(one, whole())
    assert str(caught.value).startswith("slice mine: mine.py:mine ")
    assert message.format(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            where("unseen", "word > 1"),
            "slice unseen: has the name of a standard slice; choose a name other than all, ",
        ),
        (where("all", "word > 1"), "slice all: has the name of a standard slice"),
        (where("mine", "wrod > 1"), "slice mine: where `wrod > 1`: there is no column wrod; use comparisons"),
        (SliceConfig(name="mine", function="absent.py:f"), "absent.py: there is no such file"),
        (SliceConfig(name="mine", function="absent_module:f"), "absent_module: it cannot be imported"),
    ],
)
def test_mistakes_are_found_without_a_corpus(config: SliceConfig, message: str) -> None:
    with pytest.raises(InputError) as caught:
        user_slices([config])
    assert str(caught.value).startswith(message)


def test_a_wrong_slice_is_reported_before_the_corpus_is_read() -> None:
    def read() -> list[TaggedWords]:
        raise AssertionError("read")

    with pytest.raises(InputError, match="no column"):
        slices_for([where("mine", "wrod > 1")], parts=read, training=UNKNOWN)
