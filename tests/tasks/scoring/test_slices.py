"""The standard slices against their definitions, entity by entity in plain Python, for any parts of the corpus."""

import random
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from tagging import Entity, Sentences, cut, paired, random_sentences, textbook

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.scoring.entities import MODES, Mode, extract
from nerbench.tasks.scoring.slices import Slice, standard_slices, survey_of, word_slice
from nerbench.tasks.scoring.tagged_words import TaggedWords, from_corpus
from nerbench.tasks.scoring.training_mentions import Mentions, training_mentions

TRAINING = [(("nato",), "ORG"), (("NATO",), "ORG"), (("Oslo", "1"), "LOC"), (("Oslo",), "LOC"), (("ÄRZTE",), "PER")]
VOCABULARY = ["NATO", "nato", "Oslo", "1", "ÄRZTE", "Ärzte", "1,250M", "-", "", "Oslo 1", "東京"]


class Example(NamedTuple):
    words: Sentences
    gold: Sentences
    predicted: Sentences
    documents: list[int]


class Place(NamedTuple):
    """An entity with its context."""

    mention: tuple[tuple[str, ...], str]
    sentence: list[str]
    number: int
    example: Example


def is_caps(sentence: list[str]) -> bool:
    def is_lower(letter: str) -> bool:
        return unicodedata.category(letter) in ("Ll", "Lt")

    has_word = any(word and all(unicodedata.category(letter) == "Lu" for letter in word) for word in sentence)
    return has_word and not any(is_lower(letter) for word in sentence for letter in word)


def is_first(place: Place) -> bool:
    documents = place.example.documents
    return place.number == 0 or documents[place.number] != documents[place.number - 1]


DEFINITIONS: dict[str, Callable[[Place], bool]] = {
    "seen": lambda place: place.mention in TRAINING,
    "unseen": lambda place: place.mention not in TRAINING,
    "length_1": lambda place: len(place.mention[0]) == 1,
    "length_2": lambda place: len(place.mention[0]) == 2,
    "length_3": lambda place: len(place.mention[0]) == 3,
    "length_4+": lambda place: len(place.mention[0]) >= 4,
    "sentence_length_1-10": lambda place: len(place.sentence) <= 10,
    "sentence_length_11-20": lambda place: 11 <= len(place.sentence) <= 20,
    "sentence_length_21-30": lambda place: 21 <= len(place.sentence) <= 30,
    "sentence_length_31+": lambda place: len(place.sentence) >= 31,
    "all_caps": lambda place: is_caps(place.sentence),
    "duplicated": lambda place: place.sentence in place.example.words[: place.number],
    "first_sentence": is_first,
    "later_sentence": lambda place: not is_first(place),
}


def trained() -> Mentions:
    tags = [[f"B-{kind}", *[f"I-{kind}"] * (len(words) - 1)] for words, kind in TRAINING]
    words = [list(words) for words, _ in TRAINING]
    return training_mentions(Corpus(name="toy", split="train", words=words, tags=tags, documents=None))


def random_example(seed: int) -> Example:
    rng = random.Random(seed)
    gold, predicted = random_sentences(seed, 40, longest=rng.choice([2, 6, 40]))
    words = [rng.choices(rng.choice([VOCABULARY, ["NATO", "1", "ÄRZTE"]]), k=len(tags)) for tags in gold]
    documents = np.cumsum([rng.random() < 0.4 for _ in gold]).tolist()
    return Example(words, gold, predicted, documents)


def parts_of(example: Example, firsts: list[int]) -> list[TaggedWords]:
    tagged = paired(example.gold, example.predicted, example.documents)
    text = pa.chunked_array(list(example.words), pa.string())
    return [
        replace(part, text=text.slice(part.first_word, len(part.gold)), score=np.ones(len(part.gold), np.float32))
        for part in cut(tagged, firsts)
    ]


def found(part: Slice, parts: list[TaggedWords], mode: Mode, *, gold: bool) -> list[bool]:
    """Whether each entity of all parts is in a slice."""
    flags: list[bool] = []
    for tagged in parts:
        entities = extract(tagged.gold if gold else tagged.predicted, tagged.sentence_starts, mode)
        flags += part.of(tagged, entities).tolist()
    return flags


def places(example: Example, tags: Sentences, mode: str) -> Iterator[Place]:
    for entity in textbook(tags, mode):
        yield place_of(example, entity)


def place_of(example: Example, entity: Entity) -> Place:
    sentence = example.words[entity.sentence]
    return Place((tuple(sentence[entity.start : entity.end]), entity.type), sentence, entity.sentence, example)


@pytest.mark.parametrize("seed", range(12))
def test_slices_agree_with_their_definitions(seed: int) -> None:
    example = random_example(seed)
    parts = parts_of(example, random.Random(seed).sample(range(1, 40), seed % 4))
    slices = standard_slices(survey_of(parts), trained())
    assert [one.name for one in slices] == list(DEFINITIONS)
    for mode in MODES:
        for gold, tags in ((True, example.gold), (False, example.predicted)):
            entities = list(places(example, tags, mode))
            for one in slices:
                assert found(one, parts, mode, gold=gold) == [DEFINITIONS[one.name](place) for place in entities]


def test_each_slice_occurs_among_the_examples() -> None:
    """The test above would not check a slice that is always empty or always full."""
    examples = map(random_example, range(12))
    entities = [place for example in examples for place in places(example, example.gold, "strict")]
    for name, definition in DEFINITIONS.items():
        assert 0 < sum(map(definition, entities)) < len(entities), name


def one_sentence(words: list[str], training: Mentions = frozenset()) -> dict[str, bool]:
    """The slices of the first word, an entity of one word."""
    tags = [["B-ORG"] + ["O"] * (len(words) - 1)]
    parts = parts_of(Example([words], tags, tags, [0]), [])
    return {one.name: found(one, parts, "strict", gold=True)[0] for one in standard_slices(survey_of(parts), training)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["NATO"], True),
        (["NATO", "1996", "-", ""], True),
        (["1996", "12/15/2000"], False),
        ([""], False),
        (["-", "."], False),
        (["1,250M", "6.25"], False),
        (["ÉTÉ"], True),
        (["E\u0301TE\u0301"], True),
        (["été", "NATO"], False),
        (["NATO", "1st"], False),
        (["ОАО", "ГАЗПРОМ"], True),
        (["ОАО", "Газпром"], False),
        (["東京"], False),
        (["東京", "NATO"], True),
        (["ǅ", "NATO"], False),
        (["STRAßE"], False),
    ],
)
def test_all_caps(words: list[str], expected: bool) -> None:
    assert one_sentence(words)["all_caps"] is expected


def test_a_document_of_one_word() -> None:
    assert {name for name, lies in one_sentence(["x"]).items() if lies} == {
        "unseen", "length_1", "sentence_length_1-10", "first_sentence"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"), [(["a b"], ["a", "b"]), (["a", ""], ["a"]), (["a"], ["A"]), ([""], ["", ""])]
)
def test_other_words_are_not_duplicates(first: list[str], second: list[str]) -> None:
    tags = [["B-ORG"] + ["O"] * (len(words) - 1) for words in (first, second, first)]
    parts = parts_of(Example([first, second, first], tags, tags, [0, 0, 0]), [1, 2])
    assert survey_of(parts).repeats.tolist() == [False, False, True]


def test_a_document_that_continues_in_the_next_part() -> None:
    tags = [["B-ORG"]] * 5
    parts = parts_of(Example([["x"]] * 5, tags, tags, [0, 0, 1, 1, 1]), [1, 3, 4])
    assert survey_of(parts).opens_document.tolist() == [True, False, True, False, False]


def test_no_entities_and_no_words() -> None:
    parts = parts_of(Example([["x"]], [["O"]], [["O"]], [0]), [])
    empty = cut(parts[0], [0])[0]
    empty = replace(empty, text=pa.chunked_array([[]], pa.string()))
    assert len(empty.gold) == 0
    for one in standard_slices(survey_of([empty, *parts]), trained()):
        assert found(one, [*parts, empty], "strict", gold=True) == []


def test_a_mask_is_computed_once_for_all_modes_of_a_part() -> None:
    calls: list[TaggedWords] = []
    part = word_slice("mine", lambda tagged: calls.append(tagged) or np.ones(len(tagged.gold), np.bool_))
    parts = parts_of(random_example(0), [10])
    for tagged in parts:
        for mode in MODES:
            found(part, [tagged], mode, gold=True)
    assert calls == parts


def test_numbers_of_conllpp(shared: Path) -> None:
    """563 of the test sentences are all capitals; 269 repeat an earlier one; each of the 231 documents has a first."""
    files = {"test": str(shared / "data/conllpp/test.txt")}
    corpus = load_splits(DatasetConfig.model_validate({"name": "conllpp", "files": files}))["test"]
    tags = Column.of(corpus.tags).flat
    parts = list(from_corpus(corpus, tags, types=corpus.types))
    numbers = dict.fromkeys(("all_caps", "duplicated", "first_sentence", "later_sentence"), 0)
    for one in standard_slices(survey_of(parts), frozenset()):
        if one.words and one.name in numbers:
            numbers[one.name] = sum(int(one.words(part)[part.sentence_starts].sum()) for part in parts)
    assert numbers == {"all_caps": 563, "duplicated": 269, "first_sentence": 231, "later_sentence": 3222}
