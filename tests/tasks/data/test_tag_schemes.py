"""Every scheme is converted to IOB2, and tags that contradict each other are found."""

from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import annotation, read_whole
from nerbench.tasks.data.readers import Sentence, Source
from nerbench.tasks.data.tag_schemes import (
    Declared,
    Invalid,
    Scheme,
    SchemeEvidence,
    Tag,
    entity_types,
    split_tag,
    tag_vocabulary,
    type_of,
)


class Span(NamedTuple):
    """An entity of some words, or (without a type) words outside of entities."""

    type: str
    length: int


Spans = list[Span]
spans = st.lists(st.builds(Span, st.sampled_from(["", "X", "Y", "a-b"]), st.integers(1, 3)), min_size=1, max_size=5)


def written(sentence: Spans, scheme: Scheme) -> list[str]:
    """The tags of a sentence in a scheme, by its definition."""
    tags: list[str] = []
    for before, (kind, length) in pairwise([Span("", 0), *sentence]):
        if not kind:
            tags += ["O"] * length
            continue
        touches = before.type == kind
        first, inside, last, alone = {
            "io": "IIII",
            "iob1": "BIIB" if touches else "IIII",
            "iob2": "BIIB",
            "bioes": "BIES",
            "bilou": "BILU",
        }[scheme]
        letters = alone if length == 1 else first + inside * (length - 2) + last
        tags += [f"{letter}-{kind}" for letter in letters]
    return tags


def annotated(sentences: list[list[str]], declared: Declared, invalid: Invalid = "repair", **its: Any) -> Any:
    """The annotation of a corpus of these tags; places are `sentence:word`."""
    items = [Sentence(["w"] * len(tags), tags, None, number) for number, tags in enumerate(sentences)]
    evidence = SchemeEvidence(declared, invalid)
    source = Source("here", items, lambda at, word: f"{at}:{word}")
    whole = read_whole(source, evidence)
    scheme = evidence.scheme("mend it")
    config = DatasetConfig(name="toy", files={"test": "x"}, **its)
    return annotation(whole, scheme, config, evidence.first_invalid(scheme), source)


def read(sentences: list[list[str]], declared: Declared = "auto", invalid: Invalid = "repair") -> list[list[str]]:
    """The IOB2 tags of sentences, without repairs."""
    found = annotated(sentences, declared, invalid)
    assert (found["n_repaired"], found["first_repaired"]) == (0, None)
    return list(found["tags"])


@given(st.lists(spans, min_size=1, max_size=4), st.sampled_from(["iob1", "iob2", "bioes", "bilou"]))
def test_schemes_are_recognised_and_read_as_the_entities_they_stand_for(sentences: list[Spans], scheme: Scheme) -> None:
    tags = [written(sentence, scheme) for sentence in sentences]
    iob2 = [written(sentence, "iob2") for sentence in sentences]
    assert read(tags) == read(tags, scheme) == read(tags, "auto", "refuse") == read(tags, scheme, "refuse") == iob2


@given(st.lists(spans, min_size=1, max_size=4))
def test_io_joins_neighbours_of_one_type(sentences: list[Spans]) -> None:
    joined = []
    for sentence in sentences:
        tags = written(sentence, "iob2")
        joined.append([f"I-{t[2:]}" if p[2:] == t[2:] != "" else t for p, t in pairwise(["O", *tags])])
    io = [written(sentence, "io") for sentence in sentences]
    bare = [[tag.removeprefix("I-") for tag in sentence] for sentence in io]
    assert read(io) == read(io, "io") == read(bare, "io") == joined


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("B-X O I-X", "0:2: an entity begins with I- as in IOB1, but at 0:0 an entity begins with B- as in IOB2"),
        ("O/S-X/B-X I-X O", "1:0: a tag has a letter of BIOES, but at 2:1 an entity ends with B- or I- as in IOB"),
        ("S-X O/I-X", "0:0: a tag has a letter of BIOES, but at 1:0 an entity begins with I- as in IOB1; mend it"),
        ("B-X I-X O/B-X L-X", "1:1: a tag has a letter of BILOU, but at 0:1 an entity ends with B- or I- as in IOB"),
        ("S-X O O/U-X", "0:0: a tag has a letter of BIOES, but at 1:0 a tag has a letter of BILOU"),
        ("S-X O/O E-X", "1:1: a tag ends an entity that did not begin, but at 0:0 a tag has a letter of BIOES"),
        ("B-X E-Y", "a tag ends an entity that did not begin, but at"),
        ("B-X E-X I-X E-X", "0:1: a tag has a letter of BIOES, but at 0:2 an entity begins with I- as in IOB1"),
    ],
)
def test_contradictions_name_two_places(sentences: str, message: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read([sentence.split() for sentence in sentences.split("/")], invalid="refuse")
    assert message in str(caught.value)
    assert caught.value.remedy == "mend it"


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        ("O/S-X/B-X I-X O", "1:0: a tag has a letter of BIOES, but at 2:1 an entity ends with B- or I- as in IOB"),
        ("S-X O/O I-X", "0:0: a tag has a letter of BIOES, but at 1:1 an entity ends with B- or I- as in IOB"),
        ("B-X I-X O/B-X L-X", "1:1: a tag has a letter of BILOU, but at 0:1 an entity ends with B- or I- as in IOB"),
        ("S-X O O/U-X", "0:0: a tag has a letter of BIOES, but at 1:0 a tag has a letter of BILOU"),
    ],
)
def test_a_mixture_of_schemes_is_not_repaired(sentences: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read([sentence.split() for sentence in sentences.split("/")])


@pytest.mark.parametrize(
    ("declared", "tags", "repaired", "n", "first"),
    [
        ("auto", "B-X O I-X I-X", "B-X O B-X I-X", 1, "0:2"),
        ("auto", "B-X I-Y I-X", "B-X B-Y B-X", 2, "0:1"),
        ("auto", "S-X E-X O I-Y E-Y", "B-X B-X O B-Y I-Y", 2, "0:1"),
        ("auto", "B-X E-X I-X E-X", "B-X I-X B-X I-X", 1, "0:2"),
        ("iob2", "B-X O I-X I-Y", "B-X O B-X B-Y", 2, "0:2"),
        ("iob2", "I-X I-X", "B-X I-X", 1, "0:0"),
        ("bioes", "B-X O E-X S-Y", "B-X O B-X B-Y", 1, "0:2"),
        ("bilou", "U-X L-X I-X O", "B-X B-X B-X O", 2, "0:1"),
    ],
)
def test_an_invalid_tag_begins_an_entity(declared: Declared, tags: str, repaired: str, n: int, first: str) -> None:
    found = annotated([tags.split()], declared)
    assert (list(found["tags"]), found["n_repaired"], found["first_repaired"]) == ([repaired.split()], n, first)
    with pytest.raises(CorpusError, match=first) as caught:
        annotated([tags.split()], declared, "refuse")
    assert caught.value.exit_status == 2


tag_lists = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), min_size=1, max_size=8)


@settings(deadline=None)  # importing seqeval takes its time
@given(st.lists(tag_lists, min_size=1, max_size=4))
def test_repaired_tags_have_the_entities_that_conlleval_reads(sentences: list[list[str]]) -> None:
    """The oracle is seqeval, whose default mode reads entities by the rules of conlleval.pl."""
    from seqeval.metrics.sequence_labeling import get_entities
    from seqeval.scheme import IOB2, Entities

    found = annotated(sentences, "iob2")
    lenient = [get_entities(tags) for tags in sentences]
    strict = Entities([list(tags) for tags in found["tags"]], IOB2).entities
    assert [[(one.tag, one.start, one.end - 1) for one in sentence] for sentence in strict] == lenient
    invalid = [
        (before, tag)
        for tags in sentences
        for before, tag in pairwise(["O", *tags])
        if tag[0] == "I" and before[2:] != tag[2:]
    ]
    assert found["n_repaired"] == len(invalid)
    assert read(list(found["tags"]), "iob2", "refuse") == list(found["tags"]), "repairing twice changes something"
    recognised = annotated(sentences, "auto")
    assert list(recognised["tags"]) == list(found["tags"])
    assert recognised["n_repaired"] in (0, len(invalid)), "IOB1 has no invalid I-"


def test_types_are_compared_by_their_original_names() -> None:
    found = annotated([["B-X", "I-Y", "O", "I-Z"]], "iob2", label_map={"Y": "X"}, ignore_labels=("Z",))
    assert (list(found["tags"]), found["n_repaired"]) == ([["B-X", "B-X", "O", "O"]], 2)


@pytest.mark.parametrize(
    ("declared", "tags", "iob2"),
    [
        ("iob2", "B-X O B-X B-Y", "B-X O B-X B-Y"),
        ("iob1", "B-X O I-X I-Y", "B-X O B-X B-Y"),
        ("bioes", "B-X O O S-Y", "B-X O O B-Y"),
        ("bilou", "U-X O B-X O", "B-X O B-X O"),
        ("io", "PER PER O B", "B-PER I-PER O B-B"),
    ],
)
def test_a_declared_scheme_defines_the_letters(declared: Scheme, tags: str, iob2: str) -> None:
    assert read([tags.split()], declared) == [iob2.split()]


@pytest.mark.parametrize(
    ("text", "scheme", "tag"),
    [
        ("O", "io", Tag("O", "")),
        ("B-PER", "auto", Tag("B", "PER")),
        ("I-LOC-deriv", "iob1", Tag("I", "LOC-deriv")),
        ("U-Ö", "bilou", Tag("U", "Ö")),
        ("I-a b", "auto", Tag("I", "a b")),
        ("B--", "iob2", Tag("B", "-")),
        ("PER", "io", Tag("I", "PER")),
        ("I-PER", "io", Tag("I", "PER")),
        *(("S-PER", scheme, None) for scheme in ("io", "iob1", "iob2", "bilou")),
        *(("U-PER", scheme, None) for scheme in ("io", "iob1", "iob2", "bioes")),
        *(
            (text, "auto", None)
            for text in ("", "o", "PER", "B", "B-", "I- ", "B- X", "B_PER", "O ", "O-PER", "B-a\nb")
        ),
        *((text, "io", None) for text in ("", " ", "B-PER", "PER ", "\ud800")),
    ],
)
def test_tags_are_split_by_their_scheme(text: str, scheme: Declared, tag: Tag | None) -> None:
    assert split_tag(text, scheme) == tag


def test_renaming_leaves_neighbours_apart() -> None:
    # Y becomes X only after entities are found: two adjacent entities remain two.
    found = annotated([["I-X", "I-Y", "I-Z"]], "auto", label_map={"Y": "X"}, ignore_labels=("Z",))
    assert found["tags"] == [["B-X", "B-X", "O"]]


def test_types_and_their_tags() -> None:
    assert type_of("I-LOC-deriv") == "LOC-deriv"
    assert type_of("O") is None
    assert entity_types(["O", "I-PER", "B-LOC", "B-PER"]) == ["LOC", "PER"]
    assert tag_vocabulary(["PER", "LOC"]) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert entity_types(tag_vocabulary(["X"])) == ["X"]
