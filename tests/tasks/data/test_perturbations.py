"""Perturbed corpora: as many words, the same tags and documents, and the same choices everywhere."""

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tagging import textbook

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Config, Perturbation, RobustnessConfig
from nerbench.tasks.config.schema_robustness import PERTURBATIONS, PerturbationName
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.perturbations import (
    MARKS,
    NEIGHBOURS,
    count_changes,
    perturb,
    perturb_sentence,
)
from nerbench.tasks.data.tag_schemes import Mention, mentions_of, tag_vocabulary

WORDS = ["Ada", "Lovelace", "met", "Müller", "of", "IBM", "in", "Köln", "on", "1996-08-22", "."]
TAGS = ["B-PER", "I-PER", "O", "B-PER", "O", "B-ORG", "O", "B-LOC", "O", "O", "O"]
OTHERS = {("PER", 1): [("Bo",)], ("PER", 2): [("Jo", "Ng"), ("Al", "Vy")], ("LOC", 1): [("Suva",)]}
Sentences = list[tuple[list[str], list[str]]]
word = st.one_of(
    st.text("aEmrnl01.-'éßИ\u0301", min_size=1, max_size=6), st.sampled_from([*WORDS, "ß", "İ", "\u0301", "!?", "北京"])
)
sentence = st.lists(st.tuples(word, st.sampled_from(tag_vocabulary(["LOC", "PER"]))), min_size=1, max_size=9)


def valid(tags: Sequence[str]) -> list[str]:
    """The same in IOB2: an `I-` that continues nothing begins."""
    found: list[str] = []
    for tag in tags:
        continues = found and found[-1] in {f"B-{tag[2:]}", tag}
        found.append(f"B-{tag[2:]}" if tag.startswith("I-") and not continues else tag)
    return found


def settings(name: PerturbationName, **more: Any) -> Perturbation:
    return Perturbation(name=name, **{"seed": 0, "share": 1.0} | more)


def corpus(*sentences: tuple[list[str], list[str]], documents: list[int] | None = None, split: str = "test") -> Corpus:
    return Corpus(
        name="own", split=split, words=[w for w, _ in sentences], tags=[t for _, t in sentences], documents=documents
    )


TRAIN = corpus((["Jo", "Ng", "left", "Suva"], ["B-PER", "I-PER", "O", "B-LOC"]), (WORDS, TAGS), split="train")


@given(sentence, st.sampled_from(PERTURBATIONS), st.integers(0, 3), st.floats(0.1, 1))
def test_every_word_stays_a_word(pairs: list[tuple[str, str]], name: PerturbationName, seed: int, share: float) -> None:
    before, tags = [one for one, _ in pairs], valid([tag for _, tag in pairs])
    asked = Perturbation(name=name, seed=seed, share=share)
    after = perturb_sentence(before, tags, asked, 0, OTHERS)
    assert len(after) == len(before)
    assert all(after)
    assert [one.split() for one in after] == [[one] for one in after]
    random.seed(1)  # the choices are those of no global generator
    assert after == perturb_sentence(before, tags, asked, 0, OTHERS)


@given(sentence)
def test_mentions_are_those_of_the_textbook(pairs: list[tuple[str, str]]) -> None:
    tags = valid([tag for _, tag in pairs])
    expected = [Mention(one.start, one.end, one.type) for one in textbook([tags], "strict")]
    assert list(mentions_of(tags)) == expected


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbed_corpus_pairs_with_the_clean_one(name: PerturbationName) -> None:
    before = corpus((WORDS, TAGS), (["Rain", "."], ["O", "O"]), (WORDS, TAGS), documents=[0, 0, 1])
    after = perturb(before, settings(name), TRAIN)
    assert (after.gold_sha256, after.documents) == (before.gold_sha256, before.documents)
    assert after.words_sha256 != before.words_sha256
    assert [len(one) for one in after.words] == [len(one) for one in before.words]
    assert after.words_sha256 == perturb(before, settings(name), TRAIN).words_sha256
    changed = [sum(a != b for a, b in zip(*pair, strict=True)) for pair in zip(before.words, after.words, strict=True)]
    assert count_changes(before, after) == (sum(changed), sum(map(bool, changed)))
    if name != "entity_swap":  # its choices are by document
        assert after.words[0] == after.words[2]


def test_the_choices_are_the_same_on_every_machine_and_in_every_version() -> None:
    found = {name: " ".join(perturb_sentence(WORDS, TAGS, settings(name, share=0.5))) for name in PERTURBATIONS[:-1]}
    assert found == EXPECTED
    assert perturb_sentence(WORDS, TAGS, settings("ocr", seed=1, share=0.5)) != found["ocr"].split()


EXPECTED = {
    "lower": "ada lovelace met müller of ibm in köln on 1996-08-22 .",
    "upper": "ADA LOVELACE MET MÜLLER OF IBM IN KÖLN ON 1996-08-22 .",
    "title": "Ada Lovelace Met Müller Of Ibm In Köln On 1996-08-22 .",
    "typos_in_mentions": "Wda Lovelace met Müller of UBM in Köln on 1996-08-22 .",
    "typos_in_context": "Ada Lovelace met Müller of IBM in Köln on 1996-08-22 .",
    "ocr": "Ada Lovelacc mct Müller of IBM iu Köln ou 1996-08-22 .",
    "final_punctuation": "Ada Lovelace met Müller of IBM in Köln on 1996-08-22 :",
    "accents": "Ada Lòvelace mét Muller öf IBM ìn Koln ón 1996-08-22 .",
}


def test_typos_are_one_key_away_and_stay_where_they_belong() -> None:
    for name, is_there in (("typos_in_mentions", True), ("typos_in_context", False)):
        after = perturb_sentence(WORDS, TAGS, settings(name))  # type: ignore[arg-type]
        for old, new, tag in zip(WORDS, after, TAGS, strict=True):
            wrong = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
            letters = sum(letter.lower() in NEIGHBOURS for letter in old)
            assert len(wrong) == ((tag != "O") == is_there and letters >= 3)
            assert all(b.lower() in NEIGHBOURS[a.lower()] and a.isupper() == b.isupper() for a, b in wrong)


def test_keys_are_neighbours_of_each_other() -> None:
    assert all(letter in NEIGHBOURS[other] for letter, others in NEIGHBOURS.items() for other in others)
    assert {*NEIGHBOURS["g"]} == {*"fhtyvb"}


def test_the_last_mark_becomes_another_one() -> None:
    *same, mark = perturb_sentence(WORDS, TAGS, settings("final_punctuation"))
    assert same == WORDS[:-1]
    assert mark in {*MARKS} - {"."}
    assert perturb_sentence(["In", "Köln"], ["O", "B-LOC"], settings("final_punctuation")) == ["In", "Köln."]


@given(sentence)
def test_accents_are_all_that_changes(pairs: list[tuple[str, str]]) -> None:
    def plain(texts: Sequence[str]) -> list[str]:
        apart = [unicodedata.normalize("NFD", text) for text in texts]
        return ["".join(one for one in text if unicodedata.category(one) != "Mn") or text for text in apart]

    before, tags = [one for one, _ in pairs], valid([tag for _, tag in pairs])
    assert plain(perturb_sentence(before, tags, settings("accents"))) == plain(before)


def test_swapped_mentions_have_the_type_and_length_of_those_before_all_through_a_document() -> None:
    before = corpus((WORDS, TAGS), (WORDS, TAGS), (["Ada", "Lovelace"], ["B-PER", "I-PER"]), documents=[0, 0, 1])
    mentions = {"PER": ("Jo  Ng", "Al Vy", "Bo"), "LOC": ("Ulan Bator",)}
    first, second, third = perturb(before, settings("entity_swap", mentions=mentions), None).words
    assert first == second
    assert [old for old, tag in zip(first, TAGS, strict=True) if tag == "O"] == ["met", "of", "in", "on", *WORDS[9:]]
    assert all(one in (["Jo", "Ng"], ["Al", "Vy"]) for one in (first[:2], third))
    assert first[3] == "Bo"
    assert (first[5], first[7]) == ("IBM", "Köln")  # there is no organisation, and no place of one word


def test_mentions_come_from_the_train_split_but_not_those_that_are_here() -> None:
    after = perturb(corpus((WORDS, TAGS)), settings("entity_swap"), TRAIN).words[0]
    assert (after[:2], after[3], after[7]) == (["Jo", "Ng"], "Müller", "Suva")
    with pytest.raises(CorpusError, match=r"robustness.*own has no train split.*leave entity_swap out"):
        perturb(corpus((WORDS, TAGS)), settings("entity_swap"), None)
    with pytest.raises(CorpusError, match="entity_swap finds no mention of the train split that the train split lacks"):
        perturb(TRAIN, settings("entity_swap"), TRAIN)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"perturbations": ["lower", "lower"]}, "lower is named twice"),
        ({"perturbations": []}, "at least 1 item"),
        ({"perturbations": ["shout"]}, "'lower', 'upper'"),
        ({"perturbations": ["lower"], "mentions": {"PER": ["Bo"]}}, "no effect without entity_swap"),
        ({"mentions": {"PER": [" "]}}, "mentions of PER are empty"),
        ({"share": 0}, "greater than 0"),
    ],
)
def test_a_wrong_section_is_refused_with_the_reason(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RobustnessConfig.model_validate(section)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"rules": [{"perturbation": "ocr"}]}, "about the perturbation ocr; name one of lower"),
        ({"rules": [{"perturbation": "lower", "slice": "unseen"}]}, "leave slice out"),
        ({"rules": [{"perturbation": "lower", "gold": "own"}]}, "leave gold out"),
        ({"rules": [{"perturbation": "lower"}], "promote": True}, "put another rule first"),
    ],
)
def test_rules_name_only_perturbations_of_the_section(gate: dict[str, Any], message: str) -> None:
    data = {"datasets": [{"name": "own", "files": {"test": "x"}}], "gate": gate}
    with pytest.raises(ValidationError, match=message):
        Config.model_validate(data | {"robustness": {"perturbations": ["lower"]}})
    with pytest.raises(ValidationError, match=r"add the section robustness|leave|put another"):
        Config.model_validate(data)
