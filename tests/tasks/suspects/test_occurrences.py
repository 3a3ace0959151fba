"""Occurrences of strings and their labels, counted by brute force too."""

from collections import Counter
from math import log

import pytest
from annotations import TYPES, annotated
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.suspects.occurrences import (
    EDGE,
    PARTLY,
    Counted,
    Occurrence,
    context,
    entity_log_odds,
    find_occurrences,
    normalise,
    remembered,
)

WORDS = st.sampled_from(["a", "b", "c"])
SENTENCES = st.lists(
    st.lists(st.tuples(WORDS, st.sampled_from(tag_vocabulary(TYPES[:2]))), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("word", "normal"),
    [("CZECH", "Czech"), ("AL-AIN", "Al-Ain"), ("Czech", "Czech"), ("EU", "EU"), ("USA", "USA"), ("U.S.A.", "U.S.A."),
     ("F16A", "F16A"), ("1996", "1996"), ("mid-West", "mid-West")],
)  # fmt: skip
def test_words_of_headlines_are_read_as_elsewhere(word: str, normal: str) -> None:
    assert normalise(word) == normal


def test_words_are_counted_by_case_place_and_headline() -> None:
    annotation = annotated(["Ajax|B-ORG beats|O Porto|B-ORG 2|O", "AJAX|B-ORG BEATS|O at|O"])
    assert annotation.case == [
        ("title", True, False), ("lower", False, False), ("title", False, False), ("other", False, False),
        ("upper", True, True), ("upper", False, True), ("lower", False, True),
    ]  # fmt: skip
    odds = entity_log_odds([annotation, annotation])
    assert odds["title", True, False] == pytest.approx(log(3 / 1))
    assert odds["upper", False, True] == pytest.approx(log(1 / 3))


def test_an_occurrence_is_an_entity_part_of_one_or_none() -> None:
    gold = annotated(["New|B-LOC York|I-LOC", "New|O York|O", "York|B-ORG", "in|O New|B-LOC", "York|B-PER City|I-PER"])
    found = list(find_occurrences(gold, {("New", "York"), ("York",)}))
    assert [one for one in found if len(one.string) == 2] == [
        Occurrence(("New", "York"), 0, "LOC"),
        Occurrence(("New", "York"), 2, "O"),
    ]
    assert [one.label for one in found if len(one.string) == 1] == [PARTLY, "O", "ORG", PARTLY]


@given(SENTENCES)
def test_counts_are_those_of_brute_force(sentences: list[list[tuple[str, str]]]) -> None:
    lines = [" ".join(f"{word}|{tag}" for word, tag in sentence) for sentence in sentences]
    documents = [number // 2 for number in range(len(lines))]
    gold = annotated(lines, documents)
    strings = {("a",), ("a", "b"), ("b", "c", "a")}
    counted = Counted(gold, strings)
    spans = {(s, e): TYPES[k] for s, e, k in zip(*(column.tolist() for column in gold.entities[:3]), strict=True)}
    taken = {word for start, end in spans for word in range(start, end)}
    brute: dict[tuple[tuple[str, ...], int], Counter[str]] = {}
    for start in range(len(gold.words)):
        for string in strings:
            end = start + len(string)
            same = end <= len(gold.words) and len({gold.sentence[at] for at in range(start, end)}) == 1
            if same and tuple(gold.words[start:end]) == string:
                inside = taken & {*range(start, end)}
                label = spans.get((start, end)) or (PARTLY if inside else "O")
                assert gold.document is not None
                brute.setdefault((string, int(gold.document[start])), Counter())[label] += 1
    for string in strings:
        of_documents = [counts for (one, _), counts in brute.items() if one == string]
        assert counted.labels(string) == sum(of_documents, Counter())
        for document in set(documents):
            assert counted.labels_in(string, document) == brute.get((string, document), Counter())


def test_strings_of_other_places_are_remembered() -> None:
    gold = annotated(["Oslo|B-LOC", "Oslo|O wins|O", "Oslo|B-LOC", "Rome|B-LOC", "Rome|B-ORG"])
    train = annotated(["Anna|B-PER Berg|I-PER", "Anna|B-PER Berg|I-PER"])
    here = annotated(["Anna|O Berg|O"])
    alone = remembered(gold, None)
    assert list(alone.start) == [0, 1, 3, 4, 5]
    assert [TYPES[kind] for kind in alone.type] == ["LOC", "LOC", "LOC", "ORG", "LOC"]
    denied = annotated(["Let|B-LOC us|O", "Let|O me|O", "Let|O them|O", "Rome|B-LOC"])
    assert list(remembered(denied, None).start) == [6]
    found = remembered(here, train)
    assert (found.start.tolist(), found.end.tolist()) == ([0], [2])


def test_the_context_of_a_row_of_a_table() -> None:
    gold = annotated(["1|O Oslo|B-LOC 12|O 3|O", "Rome|B-LOC 7-5|O"])
    assert context(gold, 1, 2) == ("0", "0")
    assert context(gold, 4, 5) == (EDGE, "0-0")
