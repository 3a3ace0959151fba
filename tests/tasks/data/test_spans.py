"""Spans by character offsets as tags: cut words, overlaps, and invalid spans."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.data.spans import SpanReader, Text

TEXT = "Anna Müller-Berg (Oslo) met N. Ås."


def config(**options: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "toy", "format": "json", "files": {"test": "x"}, **options})


def read(text: str, spans: Any, tokens: Any = None, **options: Any) -> list[tuple[list[str], list[str]]]:
    reader = SpanReader(config=config(**options), labels=("O", "PER"))
    found = [(one.words, one.tags) for one in reader.read(Text(0, text, spans, tokens, None), "here", 0)]
    reader.finish()
    return found


def load(folder: Path, *rows: dict[str, Any], **options: Any) -> Corpus:
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_splits(config(files={"test": str(folder / "a.jsonl")}, **options))["test"]


def test_words_are_those_of_the_tokenizer() -> None:
    span = [[TEXT.index("Oslo"), TEXT.index("Oslo") + 4, "LOC"]]
    words, tags = read(TEXT, span)[0]
    assert words == ["Anna", "Müller-Berg", "(", "Oslo", ")", "met", "N.", "Ås", "."]
    assert tags == ["O", "O", "O", "B-LOC", "O", "O", "O", "O", "O"]
    words, tags = read(TEXT, [[0, 16, "PER"]], tokenizer="whitespace")[0]
    assert (words, tags) == (TEXT.split(), ["B-PER", "I-PER", "O", "O", "O", "O"])
    tokens = ["Anna", "Müller", "-", "Berg"]
    assert read(TEXT, [[5, 11, "PER"]], tokens) == [(tokens, ["O", "B-PER", "O", "O"])]


@pytest.mark.parametrize(
    "spans",
    [
        [[0, 4, "PER"]],
        [{"start": 0, "end": 4, "label": "PER"}],
        [{"start_offset": 0, "end_offset": 4, "label": "PER"}],
        [{"start": 0, "end": 4, "labels": ["PER"], "text": "Anna"}],
        [{"start": 0, "end": 4, "label": 1}],
        {"start": [0], "end": [4], "label": ["PER"]},
        ((0, 5, "PER"),),  # white space at the end does not count
    ],
)
def test_shapes_of_spans(spans: Any) -> None:
    assert read("Anna left", spans, invalid="refuse") == [(["Anna", "left"], ["B-PER", "O"])]


def test_a_line_break_ends_a_sentence_except_in_a_span() -> None:
    assert read("Anna\nleft\n\n Oslo", []) == [(["Anna"], ["O"]), (["left"], ["O"]), (["Oslo"], ["O"])]
    assert read("New\nYork\nis", [[0, 8, "LOC"]]) == [(["New", "York"], ["B-LOC", "I-LOC"]), (["is"], ["O"])]


def test_a_span_that_cuts_a_word_is_repaired_and_counted_or_refused(tmp_path: Path) -> None:
    rows = [
        {"text": "Anna left", "entities": [[0, 4, "PER"]]},
        {"text": "Oslo-based Anna", "entities": [[0, 4, "LOC"], [11, 13, "PER"]]},
        {"text": "a  b", "entities": [[2, 2, "PER"]]},
    ]
    corpus = load(tmp_path, *rows)
    assert list(corpus.tags) == [["B-PER", "O"], ["B-LOC", "B-PER"], ["O", "O"]]
    assert (corpus.n_repaired, corpus.repairs, corpus.tokenizer) == (3, (3, 0), "rules-1")
    assert corpus.first_repaired == f"{tmp_path}/a.jsonl:2 word 0"
    with pytest.raises(
        CorpusError, match=r"a.jsonl:2: 3 of 4 spans cut a word or hold none, first LOC 0-4 'Oslo'; .*ref|inv"
    ):
        load(tmp_path, *rows, invalid="refuse")


def test_repairs_stay_with_the_sentences_of_a_divided_source(tmp_path: Path) -> None:
    rows = [{"text": "Oslo-based", "entities": [[0, 4 if number < 3 else 10, "LOC"]]} for number in range(10)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    split = {"train": "50%", "test": "50%"}
    corpora = load_splits(config(files={"all": str(tmp_path / "a.jsonl")}, split=split))
    assert sum(corpus.n_repaired for corpus in corpora.values()) == 3
    assert {corpus.tokenizer for corpus in corpora.values()} == {"rules-1"}


NESTED = [[0, 15, "ORG"], [0, 4, "LOC"], [5, 15, "ORG"], [16, 20, "PER"]]


@pytest.mark.parametrize("flatten", ["longest", "outer"])
def test_overlapping_spans_are_refused_or_chosen(tmp_path: Path, flatten: str) -> None:
    row = {"text": "Oslo University Anna", "entities": NESTED}
    with pytest.raises(
        CorpusError, match=r"2 of 4 spans overlap another one, first LOC 0-4 'Oslo'; .*flatten: longest"
    ):
        load(tmp_path, row)
    corpus = load(tmp_path, row, flatten=flatten)
    assert list(corpus.tags) == [["B-ORG", "I-ORG", "B-PER"]]
    assert (corpus.n_repaired, corpus.repairs) == (0, (0, 2))


def test_crossing_spans_have_no_outer_one() -> None:
    crossing = [[0, 3, "A"], [2, 7, "B"]]
    assert read("a b c d", crossing, flatten="longest") == [(["a", "b", "c", "d"], ["O", "B-B", "I-B", "I-B"])]
    with pytest.raises(CorpusError, match=r"B and A overlap, but neither contains the other.*longest"):
        read("a b c d", crossing, flatten="outer")


@pytest.mark.parametrize(
    ("text", "spans", "tokens", "says"),
    [
        (7, [], None, "the text 7 is not a string"),
        ("Anna", [[0, 5, "PER"]], None, "outside of the text, which has 4 characters"),
        ("Anna", [[3, 2, "PER"]], None, "outside of the text"),
        ("Anna", [[-1, 2, "PER"]], None, "outside of the text"),
        ("Anna", [[0, "4", "PER"]], None, "no start and end that are whole numbers"),
        ("Anna", [[0, True, "PER"]], None, "no start and end that are whole numbers"),
        ("Anna", [[0, 4]], None, r"the span \[0, 4\] has an unknown form"),
        ("Anna", [[0, 4, ""]], None, "has no label"),
        ("Anna", [[0, 4, 2]], None, "has no label"),
        ("Anna", "PER", None, "is not a list of spans"),
        ("Anna", {"start": [0, 1], "end": [4]}, None, "differ in length"),
        ("😀 Anna", [{"start": 3, "end": 7, "label": "PER", "text": "Anna"}], None, "outside of the text"),
        ("😀 Anna x", [{"start": 3, "end": 7, "label": "PER", "text": "Anna"}], None, "'Anna' is 'nna ' in the text"),
        ("Anna", [], ["Ana"], "the token 'Ana' is not in the text"),
        ("Anna b", [], [{"start": 5, "end": 6}, {"start": 0, "end": 4}], "is not in the text after the token before"),
    ],
)
def test_invalid_spans(text: Any, spans: Any, tokens: Any, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        read(text, spans, tokens)


def test_declared_tokens_are_required() -> None:
    with pytest.raises(CorpusError, match="no tokens in the data"):
        read("Anna", [], tokenizer="file")


@given(
    words=st.lists(st.text("aB.,é-", min_size=1, max_size=4), min_size=1, max_size=9),
    cuts=st.sets(st.integers(0, 9)),
    labels=st.lists(st.sampled_from("XYZ"), min_size=10, max_size=10),
    gaps=st.lists(st.sampled_from([" ", "  ", "\t", "\u00a0"]), min_size=9, max_size=9),
)
def test_spans_become_tags_and_the_same_spans_again(
    words: list[str], cuts: set[int], labels: list[str], gaps: list[str]
) -> None:
    text, places = "", []
    for word, gap in zip(words, gaps, strict=False):
        places.append((len(text), len(text) + len(word)))
        text += word + gap
    ends = sorted(cut for cut in cuts if cut <= len(words))
    spans = [(places[a][0], places[b - 1][1], labels[a]) for a, b in pairwise(ends)]
    ((read_words, tags),) = read(text, spans, tokenizer="whitespace", invalid="refuse")
    assert read_words == words
    again = [(places[first][0], places[last][1], label) for label, first, last in get_entities(tags)]
    assert again == spans
