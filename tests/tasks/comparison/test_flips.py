"""Flips against their definition on sets of textbook entities."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psutil import Process
from tagging import TYPES, Sentences, annotated, random_sentences, textbook

from nerbench.tasks.comparison.flips import Entity, Flip, Flips, flips, to_json
from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_tags


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


WORDS = ["The", "New", "York", "Times", "left", "Oslo"]


def tagged(gold: Sentences, predicted: Sentences, documents: list[int] | None = None, **changes: Any) -> TaggedWords:
    numbers = [n for n, sentence in enumerate(gold) for _ in sentence]
    whole = from_tags(
        [tag for sentence in gold for tag in sentence],
        [tag for sentence in predicted for tag in sentence],
        types=changes.pop("types", TYPES),
        sentences=numbers,
        documents=documents and [documents[n] for n in numbers],
    )
    return replace(whole, **changes)


def one_sentence(gold: str, base: str, candidate: str, *, text: bool = True) -> list[Flip]:
    kept = pa.chunked_array([WORDS]) if text else None
    sides = (tagged([gold.split()], [side.split()], text=kept) for side in (base, candidate))
    return list(flips(*([side] for side in sides)))


def cut(whole: TaggedWords, ends: Iterable[int]) -> Iterator[TaggedWords]:
    """Parts that end after these sentences."""
    bounds = [0, *np.searchsorted(whole.sentence, sorted({end + 1 for end in ends})).tolist(), len(whole.gold)]
    for start, stop in pairwise(bounds):
        part = slice(start, stop)
        arrays = {name: getattr(whole, name)[part] for name in ("gold", "predicted", "sentence")}
        document = None if whole.document is None else whole.document[part]
        text = None if whole.text is None else whole.text[part]
        yield replace(whole, **arrays, document=document, text=text, first_word=start)


class Span(NamedTuple):
    """The words of a flip, for the definition below."""

    kind: str
    sentence: int
    start: int
    end: int
    sides: tuple[frozenset[tuple[int, int, str]], ...]


def spans(found: Iterable[Flip]) -> list[Span]:
    return [
        Span(f.kind, f.sentence, f.start, f.end, (frozenset(f.gold), frozenset(f.base), frozenset(f.candidate)))
        for f in found
    ]


def by_definition(*readings: Sentences) -> Iterator[Span]:
    entities = [set(textbook(reading, "strict")) for reading in readings]
    remaining = set().union(*entities)
    while remaining:
        region = {remaining.pop()}
        while touching := {
            one
            for one in remaining
            if any(one.sentence == e.sentence and one.start < e.end and e.start < one.end for e in region)
        }:
            region |= touching
            remaining -= touching
        gold, base, candidate = (region & side for side in entities)
        if base == candidate:
            continue
        sides = tuple(frozenset(entity[1:] for entity in side) for side in (gold, base, candidate))
        number = next(iter(region)).sentence
        flipped = {one: "gained" if one in candidate else "lost" for one in gold if (one in base) != (one in candidate)}
        for one, kind in flipped.items():
            yield Span(kind, number, one.start, one.end, sides)
        if not flipped:
            yield Span("changed", number, min(e.start for e in region), max(e.end for e in region), sides)


def in_order(found: Iterable[Span]) -> list[Span]:
    return sorted(found, key=lambda span: span[1:4])


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[Sentences, Sentences, Sentences, list[int]]:
    gold, base, documents = draw(annotated())
    tag = st.sampled_from(tag_vocabulary(TYPES[:2]))
    candidate = [[draw(tag) if draw(st.booleans()) else old for old in sentence] for sentence in base]
    return gold, base, candidate, documents


@settings(max_examples=150, deadline=None, derandomize=True)
@given(two_sides())
def test_flips_are_those_of_the_definition(sides: tuple[Sentences, Sentences, Sentences, list[int]]) -> None:
    *readings, documents = sides
    gold, base, candidate = readings
    found = list(flips([tagged(gold, base, documents)], [tagged(gold, candidate, documents)]))
    assert spans(found) == in_order(by_definition(*readings))
    assert [flip.document for flip in found] == [documents[flip.sentence] for flip in found]


@pytest.mark.parametrize("seed", range(10))
def test_gains_less_losses_are_the_difference_of_true_positives(seed: int) -> None:
    gold, base = random_sentences(seed, 200)
    _, candidate = random_sentences(seed, 200)
    candidate[::2] = [sentence[::-1] for sentence in candidate[::2]]
    found = [flip.kind for flip in flips([tagged(gold, base)], [tagged(gold, candidate)])]
    right = [len({*textbook(gold, "strict")} & {*textbook(side, "strict")}) for side in (base, candidate)]
    assert found.count("gained") - found.count("lost") == right[1] - right[0]
    assert set(found) == {"gained", "lost", "changed"}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(two_sides(), st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_flips_do_not_depend_on_the_parts(
    sides: tuple[Sentences, Sentences, Sentences, list[int]], ends: list[int], other_ends: list[int]
) -> None:
    gold, base, candidate, documents = sides
    text = pa.chunked_array([[f"w{n}" for n in range(sum(map(len, gold)))]])
    before, after = (tagged(gold, side, documents, text=text) for side in (base, candidate))
    assert list(flips(cut(before, ends), cut(after, other_ends))) == list(flips([before], [after]))


def test_swapped_runs_turn_gains_into_losses() -> None:
    gold, base = random_sentences(1, 50)
    _, candidate = random_sentences(2, 50)
    candidate = [(new + ["O"] * len(old))[: len(old)] for old, new in zip(base, candidate, strict=True)]
    turned = {"gained": "lost", "lost": "gained", "changed": "changed"}
    there = spans(flips([tagged(gold, base)], [tagged(gold, candidate)]))
    back = spans(flips([tagged(gold, candidate)], [tagged(gold, base)]))
    assert [(turned[s.kind], *s[1:4], (s.sides[0], s.sides[2], s.sides[1])) for s in there] == [tuple(s) for s in back]
    assert there


def test_a_flip_has_kind_and_place() -> None:
    (flip,) = one_sentence("O B-LOC I-LOC O O B-LOC", "B-ORG I-ORG I-ORG I-ORG O B-LOC", "O B-LOC I-LOC O O B-LOC")
    assert flip == Flip(
        kind="gained",
        document=None,
        sentence=0,
        start=1,
        end=3,
        text="New York",
        label="LOC",
        gold=((1, 3, "LOC"),),
        base=((0, 4, "ORG"),),
        candidate=((1, 3, "LOC"),),
        sentence_text="The New York Times left Oslo",
    )


@pytest.mark.parametrize(
    ("gold", "base", "candidate", "expected"),
    [
        ("O B-LOC O O O O", "O B-PER O O O O", "O B-ORG O O O O", [("changed", "New", "LOC")]),
        ("O B-LOC I-LOC O O O", "O B-LOC O O O O", "O O B-LOC O O O", [("changed", "New York", "LOC")]),
        ("O O O O O O", "O O O O O O", "O O O O B-PER O", [("changed", "left", "PER")]),
        ("O O O O O O", "O O O O B-PER O", "O O O O B-ORG O", [("changed", "left", "ORG")]),
        ("O O O O O O", "B-ORG O O O O O", "O O O O O O", [("changed", "The", "ORG")]),
        (
            *("O B-LOC B-ORG O O O", "O B-LOC I-LOC O O O", "O B-LOC B-ORG O O O"),
            [("gained", "New", "LOC"), ("gained", "York", "ORG")],
        ),
        (
            *("O B-LOC B-ORG O O O", "O B-LOC O O O O", "B-PER I-PER B-ORG O O O"),
            [("lost", "New", "LOC"), ("gained", "York", "ORG")],
        ),
        ("O B-LOC I-LOC O O O", "O B-LOC I-LOC B-ORG O O", "O B-LOC I-LOC O O O", [("changed", "Times", "ORG")]),
    ],
)
def test_kinds(gold: str, base: str, candidate: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(flip.kind, flip.text, flip.label) for flip in one_sentence(gold, base, candidate)] == expected


def test_tags_that_belong_to_no_entity_do_not_flip() -> None:
    assert one_sentence("O O O O O B-LOC", "O O O O O B-LOC", "O I-ORG I-ORG O O B-LOC") == []


def test_words_that_were_dropped_stay_unknown() -> None:
    (flip,) = one_sentence("O O O O O B-LOC", "O O O O O O", "O O O O O B-LOC", text=False)
    assert (flip.text, flip.sentence_text, flip.start, flip.end) == (None, None, 5, 6)


def test_both_runs_may_have_different_types() -> None:
    gold = [["B-ORG", "O", "O"]]
    base = tagged(gold, [["B-ORG", "B-GPE", "O"]], types=("GPE", "ORG"))
    candidate = tagged(gold, [["B-ORG", "O", "B-ZIP"]], types=("ORG", "ZIP"))
    (gone, new) = flips([base], [candidate])
    assert (gone.base, gone.candidate, new.base, new.candidate) == (((1, 2, "GPE"),), (), (), ((2, 3, "ZIP"),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sentence": np.array([0, 1, 1])}, "different words"),
        ({"document": np.array([0, 0, 0])}, "different words"),
        ({"text": pa.chunked_array([["a", "b", "d"]])}, "different words"),
        ({"gold": np.array([0, 1, 1], np.int32)}, "different gold"),
        ({name: np.zeros(2, np.int32) for name in ("gold", "predicted", "sentence")} | {"text": None}, "more words"),
    ],
)
def test_other_words_are_refused(change: dict[str, Any], message: str) -> None:
    base = tagged([["O"] * 3], [["O"] * 3], text=pa.chunked_array([["a", "b", "c"]]))
    for sides in ((base, replace(base, **change)), (replace(base, **change), base)):
        with pytest.raises(ValueError, match=message):
            list(flips(*([side] for side in sides)))


def test_nothing_flips_without_words() -> None:
    assert list(flips([], [])) == []
    with pytest.raises(ValueError, match="more words"):
        list(flips([], [tagged([["O"]], [["O"]])]))


def test_plain_values_by_kind() -> None:
    found = one_sentence("O B-LOC O O O O", "O B-LOC O O O O", "O O O O B-PER O")
    assert to_json(found) == {
        "gained": [],
        "lost": [
            {
                "document": None,
                "sentence": 0,
                "start": 1,
                "end": 2,
                "text": "New",
                "label": "LOC",
                "gold": [{"start": 1, "end": 2, "type": "LOC"}],
                "base": [{"start": 1, "end": 2, "type": "LOC"}],
                "candidate": [],
                "sentence_text": "The New York Times left Oslo",
            }
        ],
        "changed": [
            {
                "document": None,
                "sentence": 0,
                "start": 4,
                "end": 5,
                "text": "left",
                "label": "PER",
                "gold": [],
                "base": [],
                "candidate": [{"start": 4, "end": 5, "type": "PER"}],
                "sentence_text": "The New York Times left Oslo",
            }
        ],
    }


@pytest.mark.parametrize("n", [0, 1, 2 * CHUNK + 3])
def test_stored_flips_are_the_same(n: int) -> None:
    gold, base, candidate = [["B-PER", "I-PER"]] * n, [["B-PER", "O"]] * n, [["B-PER", "I-PER"]] * n
    found = [
        replace(flip, document=None if at % 2 else at, text=None if at % 3 else "ä")
        for at, flip in enumerate(flips([tagged(gold, base)], [tagged(gold, candidate)]) if n else ())
    ]
    stored = Flips(iter(found))
    assert stored == found == list(stored)
    assert (len(stored), stored.n("gained"), stored.n("lost")) == (n, n, 0)
    assert stored[-3:] == found[-3:]
    if n:
        assert (stored[0], stored[n - 1], stored[-1]) == (found[0], found[-1], found[-1])
        assert stored != [*found[:-1], replace(found[-1], sentence=n)]
    with pytest.raises(IndexError):
        stored[n]


FLIP = Flip(
    kind="lost", document=0, sentence=0, start=1, end=3, text="New York", label="LOC", gold=(Entity(1, 3, "LOC"),),
    base=(Entity(1, 3, "LOC"),), candidate=(), sentence_text=" ".join(WORDS * 2),
)  # fmt: skip


def test_flips_of_a_usual_corpus_take_no_descriptor(cache: Path) -> None:
    before = Process().num_fds()
    stored = Flips(repeat(FLIP, 1 << 16))
    assert Process().num_fds() == before
    assert not cache.exists()
    assert (len(stored), stored[-1]) == (1 << 16, FLIP)


def test_many_comparisons_take_one_descriptor(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report compares hundreds of models."""
    monkeypatch.setattr("nerbench.tasks.comparison.flips._IN_MEMORY", 1)
    several = [[replace(FLIP, document=number)] * size for number, size in enumerate((0, 2 * CHUNK + 3, 1, 0, 2))]
    before = Process().num_fds()
    stored = Flips.together(map(iter, several))
    assert Process().num_fds() == before + 1
    assert list(cache.iterdir()) == []
    assert stored == several
    assert [one.n("lost") for one in stored] == list(map(len, several))
    assert Flips.together([]) == []


def test_few_flips_exist_at_once() -> None:
    """The flips of a large corpus would fill the memory."""
    most = 0

    def watched() -> Iterator[Flip]:
        nonlocal most
        alive: WeakSet[Flip] = WeakSet()
        for number in range(5 * CHUNK):
            flip = Flip(
                kind="lost", document=None, sentence=number, start=0, end=1, text="x", label="PER",
                gold=(), base=(), candidate=(), sentence_text="x",
            )  # fmt: skip
            alive.add(flip)
            most = max(most, len(alive))
            yield flip

    stored = Flips(watched())
    assert [flip.sentence for flip in stored] == list(range(5 * CHUNK))
    assert most <= 3 * CHUNK
