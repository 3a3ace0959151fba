"""An annotation with other sentences and words, on the words of the data set; and CleanCoNLL on those of CoNLLpp."""

import random
from collections.abc import Iterable
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.alignment import AlignedAnnotation, Text, align_annotation, common_characters
from nerbench.tasks.data.corpus import load_gold, load_splits

Tagged = list[list[tuple[str, str]]]


def read(text: str) -> Tagged:
    """`EU/B-ORG rejects | it`: sentences of words with tags; `O` is the default."""
    tagged = (sentence.split() for sentence in text.split("|"))
    return [[(word.partition("/")[0], word.partition("/")[2] or "O") for word in sentence] for sentence in tagged]


def written(found: AlignedAnnotation) -> str:
    pairs = (zip(words, tags, strict=True) for words, tags in zip(found.words, found.tags, strict=True))
    return " | ".join(" ".join(w if t == "O" else f"{w}/{t}" for w, t in sentence) for sentence in pairs)


def align(words: str, annotation: str, documents: list[int] | None = None) -> AlignedAnnotation:
    ours, theirs = read(words), read(annotation)
    tags = [[tag for _, tag in sentence] for sentence in theirs]
    plain = [[[word for word, _ in sentence] for sentence in one] for one in (ours, theirs)]
    return align_annotation(plain[0], documents, plain[1], tags)


@pytest.mark.parametrize(
    ("words", "annotation", "aligned", "source", "lacks"),
    [
        ("EU rejects it", "E/B-ORG U/I-ORG rejectsit", "EU/B-ORG rejects it", [0, 1, 2], (0, 0, 0)),
        (
            "the Oslo-based firm",
            "the Oslo/B-LOC - based firm",
            "the Oslo/B-LOC -based firm",
            [0, 1, 1, 2],
            (0, 0, 1),
        ),
        (
            "F.A. Challenge | Cup round",
            "F.A./B-MISC Challenge/I-MISC Cup/I-MISC | round",
            "F.A./B-MISC Challenge/I-MISC Cup/I-MISC round",
            [0, 1, 2, 3],
            (0, 0, 0),
        ),
        ("New Yorks team", "New/B-ORG York/I-ORG team", "New/B-ORG Yorks/I-ORG team", [0, 1, 2], (0, 0, 0)),
        ("in Isreal now", "in Israel/B-LOC now", "in Isreal/B-LOC now", [0, 1, 2], (0, 0, 0)),
        (
            "He saw Rome there | yes",
            "He saw Pisa/B-LOC City/I-LOC there | yes",
            "He saw there | Pisa/B-LOC City/I-LOC | yes",
            [0, 1, 3, -1, -1, 4],
            (1, 1, 0),
        ),
        ("it was Oslo", "Qq/B-PER it was Oslo/B-LOC", "it was Oslo/B-LOC | Qq/B-PER", [0, 1, 2, -1], (1, 0, 0)),
        ("a heading | it was Oslo .", "it was Oslo/B-LOC .", "it was Oslo/B-LOC .", [2, 3, 4, 5], (0, 2, 0)),
        ("AB cd", "A/B-X B/B-Y cd", "A/B-X B/B-Y cd", [0, 0, 1], (0, 0, 1)),
    ],
)
def test_entities_become_tags_of_the_words_of_the_data_set(
    words: str, annotation: str, aligned: str, source: list[int], lacks: tuple[int, int, int]
) -> None:
    found = align(words, annotation)
    assert written(found) == aligned
    assert found.alignment.source.tolist() == source
    assert found.alignment[1:] == lacks


def test_an_entity_stays_in_one_document() -> None:
    found = align("AB | CD x | EF", "A B/B-X C/I-X D x Zz/B-Y EF", documents=[0, 1, 2])
    assert written(found) == "AB | B/B-X C/I-X | CD x | Zz/B-Y | EF"
    assert found.documents == [0, 0, 1, 1, 2]


def test_a_document_without_annotation_is_left_out() -> None:
    assert align("a b c d | e f | g h", "abcd | g/B-X h", documents=[0, 1, 2]).documents == [0, 1]


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match="only 0 % of its characters are in the text"):
        align("a bcd efg", "a hij/B-X klmno")


@st.composite
def retokenized(draw: st.DrawFn) -> tuple[Tagged, Tagged]:
    """The same text with the same entities in two tokenizations; entities begin and end with words of the first."""
    letters = st.text("abc", min_size=1, max_size=4)
    sentences: Tagged = []
    others: Tagged = []
    for _ in range(draw(st.integers(1, 5))):
        sentences.append([])
        if not others or draw(st.booleans()):
            others.append([])
        for _ in range(draw(st.integers(1, 5))):
            kind = draw(st.sampled_from(["O", "X", "Y"]))
            words = draw(st.lists(letters, min_size=1, max_size=3))
            text = "".join(words)
            edges = sorted({0, len(text), *draw(st.sets(st.integers(0, len(text))))})
            for target, parts in ((sentences, words), (others, [text[a:b] for a, b in pairwise(edges)])):
                tags = ["O"] * len(parts) if kind == "O" else [f"B-{kind}", *[f"I-{kind}"] * (len(parts) - 1)]
                target[-1].extend(zip(parts, tags, strict=True))
    return sentences, others


@given(retokenized())
def test_the_same_text_with_other_words_is_the_same_annotation(texts: tuple[Tagged, Tagged]) -> None:
    ours, theirs = ([[[w for w, _ in s] for s in text], [[t for _, t in s] for s in text]] for text in texts)
    found = align_annotation(ours[0], None, *theirs)
    assert (found.words, found.tags) == tuple(ours)
    assert found.alignment.source.tolist() == [*range(len([*chain(*ours[0])]))]
    assert found.alignment[1:] == (0, 0, 0)


def spans(words: Iterable[tuple[str, str]]) -> list[tuple[int, int, str]]:
    """Start, end and type of each entity, in characters of the whole text."""
    found: list[tuple[int, int, str]] = []
    at = 0
    for word, tag in words:
        if tag[0] == "B":
            found.append((at, at + len(word), tag[2:]))
        elif tag[0] == "I":
            found[-1] = (found[-1][0], at + len(word), tag[2:])
        at += len(word)
    return found


def test_cleanconll_on_the_words_of_conllpp(shared: Path) -> None:
    files = {"test": str(shared / "data/conllpp/test.txt")}
    dataset = DatasetConfig.model_validate({"name": "conllpp", "files": files})
    words = load_splits(dataset)["test"]
    gold = load_gold(
        GoldConfig(name="cleanconll", dataset="conllpp", file=str(shared / "data/cleanconll/test.txt")), dataset, words
    )
    lines = [line.split() for line in (shared / "data/cleanconll/test.txt").read_text().splitlines()]
    theirs = spans((line[0], line[-1]) for line in lines if line and line[0] != "-DOCSTART-")
    assert len(theirs) == 5725
    ours = ((word, tag) for pair in zip(gold.words, gold.tags, strict=True) for word, tag in zip(*pair, strict=True))
    assert spans(ours) == theirs
    assert gold.alignment is not None
    assert gold.alignment[1:3] == (0, 0)
    assert "".join(chain.from_iterable(gold.words)) == "".join(chain.from_iterable(words.words))
    assert gold.documents is not None
    assert gold.documents[-1] + 1 == 231


def text(words: list[str], sentence: int) -> Text:
    lengths = [len("".join(words[at : at + sentence])) for at in range(0, len(words), sentence)]
    return Text("".join(words), np.cumsum(lengths))


@pytest.mark.parametrize("seed", range(5))
def test_a_text_with_many_repetitions_and_changes_is_aligned_almost_everywhere(seed: int) -> None:
    chance = random.Random(seed)
    vocabulary = ["".join(chance.choices("abcdefgh", k=chance.randint(1, 8))) for _ in range(300)]
    article = chance.choices(vocabulary, k=150)
    words = [word for _ in range(8) for word in (*article, *chance.choices(vocabulary, k=150))]
    changed = [word if chance.random() > 0.03 else chance.choice(["", "xyz", word[::-1]]) for word in words]
    here, there = text(words, 12), text(changed, 17)
    positions = common_characters(here, there)
    common = np.flatnonzero(positions >= 0)
    assert (np.diff(positions[common]) > 0).all()
    assert [here.chars[at] for at in positions[common]] == [there.chars[at] for at in common]
    assert len(common) > 0.95 * len(there.chars)


def test_equal_sentences_are_found_between_unrelated_ones() -> None:
    here, there = text(["abc", "defg", "hij", "k"], 1), text(["xyzw", "defg", "uv"], 1)
    assert common_characters(here, there).tolist() == [-1, -1, -1, -1, 3, 4, 5, 6, -1, -1]
